"""Which Bedrock resources the declared models need, and the permissions to invoke exactly these."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aws_cdk import aws_iam as iam

from stacks.declared_models import DeclaredModel

EU_DESTINATION_REGIONS = (
    "eu-central-1",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-3",
)
"""Regions that an `eu.` profile may route to,
https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html"""


PROFILES_ELSEWHERE = ("apac", "au", "ca", "global", "jp", "us", "us-gov")
"""First parts of the profiles that leave the EU; a foundation model starts with its vendor instead."""


def invoke_statements(
    models: Iterable[DeclaredModel], *, region: str, account: str
) -> list[iam.PolicyStatement]:
    """Statements that allow invoking the Bedrock models among `models`; none where there are none.

    A model behind an `eu.` inference profile is allowed in each region the profile routes to, but only
    through the profile: https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-prereq.html

    Raises:
        ValueError: for a profile of another part of the world, whose destinations are not known here.
    """
    invocation_ids = sorted({model.invocation_id for model in models if model.provider == "bedrock"})
    for invocation_id in invocation_ids:
        if invocation_id.split(".")[0] in PROFILES_ELSEWHERE:
            raise ValueError(
                f"{invocation_id} is an inference profile outside the EU, whose destinations are unknown. "
                "Declare the eu. profile, or the foundation model of the region."
            )
    profiles = [invocation_id for invocation_id in invocation_ids if invocation_id.startswith("eu.")]
    direct = [invocation_id for invocation_id in invocation_ids if not invocation_id.startswith("eu.")]
    statements = [
        statement
        for profile in profiles
        for statement in _through_profile(profile, region=region, account=account)
    ]
    if direct:
        statements.append(_invoke([_foundation_model(region, invocation_id) for invocation_id in direct]))
    return statements


def _through_profile(profile: str, *, region: str, account: str) -> tuple[iam.PolicyStatement, ...]:
    profile_arn = f"arn:aws:bedrock:{region}:{account}:inference-profile/{profile}"
    destinations = [
        _foundation_model(destination, profile.removeprefix("eu.")) for destination in EU_DESTINATION_REGIONS
    ]
    only_through_it = {"StringEquals": {"bedrock:InferenceProfileArn": profile_arn}}
    return _invoke([profile_arn]), _invoke(destinations, conditions=only_through_it)


def _invoke(
    resources: Sequence[str], conditions: dict[str, dict[str, str]] | None = None
) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        actions=["bedrock:InvokeModel"], resources=list(resources), conditions=conditions
    )


def _foundation_model(region: str, model_id: str) -> str:
    return f"arn:aws:bedrock:{region}::foundation-model/{model_id}"
