"""Which Bedrock resources the declared models need, and the permissions to invoke exactly these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

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
"""Every region in the EU that a profile routes to."""

DESTINATION_REGIONS: Mapping[str, tuple[str, ...]] = {
    "eu.anthropic.claude-haiku-4-5-20251001-v1:0": EU_DESTINATION_REGIONS,
    "eu.anthropic.claude-sonnet-4-5-20250929-v1:0": EU_DESTINATION_REGIONS,
    "eu.meta.llama3-2-3b-instruct-v1:0": ("eu-central-1", "eu-west-1", "eu-west-3"),
}
"""Inference profile → the regions it may route to, when called from one of them.

They differ by model: https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html
Called from London or Zurich, a profile named `eu.` may also stay there, which is not in the EU."""


PARTS_OF_THE_WORLD = ("apac", "au", "ca", "eu", "global", "in", "jp", "sa", "us", "us-gov")
"""First parts of inference profiles; the id of a foundation model starts with its vendor instead."""


INVOKING = ("bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream")
"""Converse and ConverseStream need these and have no actions of their own."""


def invoke_statements(
    models: Iterable[DeclaredModel], *, region: str, account: str
) -> list[iam.PolicyStatement]:
    """Statements that allow invoking the Bedrock models among `models`; none where there are none.

    A model behind an inference profile is allowed in each region the profile routes to, but only through
    the profile: https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-prereq.html

    Raises:
        ValueError: for a profile whose destinations are not known, or that `region` cannot call.
    """
    invocation_ids = sorted({model.invocation_id for model in models if model.provider == "bedrock"})
    profiles = [invocation_id for invocation_id in invocation_ids if _is_profile(invocation_id)]
    direct = [invocation_id for invocation_id in invocation_ids if not _is_profile(invocation_id)]
    statements = [
        statement
        for profile in profiles
        for statement in _through_profile(profile, region=region, account=account)
    ]
    if direct:
        statements.append(_invoke([_foundation_model(region, invocation_id) for invocation_id in direct]))
    return statements


def _is_profile(invocation_id: str) -> bool:
    return invocation_id.split(".")[0] in PARTS_OF_THE_WORLD


def _through_profile(profile: str, *, region: str, account: str) -> tuple[iam.PolicyStatement, ...]:
    destinations = DESTINATION_REGIONS.get(profile)
    if destinations is None:
        raise ValueError(
            f"The destinations of the inference profile {profile} are not known, so no permission can name "
            "them. Look them up at AWS and add them to DESTINATION_REGIONS in stacks/constructs/"
            "bedrock_access.py, or declare another profile or the foundation model of the region."
        )
    if region not in destinations:
        raise ValueError(
            f"{region} cannot call the inference profile {profile}. "
            f"Deploy to one of {', '.join(destinations)}, or do not declare the model."
        )
    profile_arn = f"arn:aws:bedrock:{region}:{account}:inference-profile/{profile}"
    model_id = profile.partition(".")[2]
    models = [_foundation_model(destination, model_id) for destination in destinations]
    only_through_it = {"StringEquals": {"bedrock:InferenceProfileArn": profile_arn}}
    return _invoke([profile_arn]), _invoke(models, conditions=only_through_it)


def _invoke(
    resources: Sequence[str], conditions: dict[str, dict[str, str]] | None = None
) -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=list(INVOKING), resources=list(resources), conditions=conditions)


def _foundation_model(region: str, model_id: str) -> str:
    return f"arn:aws:bedrock:{region}::foundation-model/{model_id}"
