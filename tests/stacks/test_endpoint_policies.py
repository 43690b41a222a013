"""What can be done through the private ways to AWS services: what the network's roles use, and no more."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.stacks.synthesis import Resource, Synthesis

ENDPOINTS_OF_A_SERVICE: Mapping[str, tuple[str, ...]] = {
    "bedrock": ("bedrock-runtime",),
    "dynamodb": ("dynamodb",),
    "ecr": ("ecr.api", "ecr.dkr"),
    "logs": ("logs",),
    "secretsmanager": ("secretsmanager",),
    "ssm": ("ssm",),
}
"""Endpoints that calls go through, by the first part of an action."""

FOR_NO_ROLE = {"s3:GetObject"}
"""Image layers are fetched by signed addresses, without a permission of the role's own."""

PREPARED = {
    "appconfig:StartConfigurationSession",
    "appconfig:GetLatestConfiguration",
    "cloudwatch:PutMetricData",
    "firehose:PutRecordBatch",
    "kms:Decrypt",
    "kms:GenerateDataKey",
    "sts:AssumeRole",
}
"""What parts that are still to come will call. A role that takes one of these up takes it off this list."""

WITHOUT_RESOURCE = {"cloudwatch:PutMetricData", "ecr:GetAuthorizationToken"}

ALSO_OF_OTHERS = {"ImageLayers"}
"""Statements that are not limited to this account: the layers' bucket belongs to ECR."""


def as_list(value: Any) -> list[Any]:  # noqa: ANN401  (a template's)
    return value if isinstance(value, list) else [value]


def policies(synthesis: Synthesis) -> dict[str, list[dict[str, Any]]]:
    """Statements by the service's name, e.g. ecr.api."""
    found = {}
    for endpoint in synthesis.resources("AWS::EC2::VPCEndpoint", "Network"):
        name = endpoint.properties["ServiceName"]
        text = name if isinstance(name, str) else name["Fn::Join"][1][-1]
        short = text.removeprefix("com.amazonaws.eu-central-1").removeprefix(".")
        found[short] = endpoint.properties["PolicyDocument"]["Statement"]
    return found


def actions(statements: list[dict[str, Any]]) -> set[str]:
    return {action for statement in statements for action in as_list(statement["Action"])}


def roles_in_the_network(synthesis: Synthesis) -> Iterator[str]:
    """Logical ids of the roles whose holders send from the network."""
    definition = synthesis.only("AWS::ECS::TaskDefinition")
    for role in ("TaskRoleArn", "ExecutionRoleArn"):
        yield definition[role]["Fn::GetAtt"][0]
    for function in synthesis.resources("AWS::Lambda::Function"):
        if "VpcConfig" in function.properties:
            yield function.properties["Role"]["Fn::GetAtt"][0]


def used_actions(synthesis: Synthesis) -> set[str]:
    """What those roles allow; decryption is asked for by the service whose data it is, on their behalf.

    Lambda joins a function to the network from outside of it.
    """
    roles = set(roles_in_the_network(synthesis))
    return {
        action
        for policy in synthesis.resources("AWS::IAM::Policy")
        if roles & {role["Ref"] for role in policy.properties["Roles"]}
        for statement in policy.properties["PolicyDocument"]["Statement"]
        for action in as_list(statement["Action"])
        if "kms:ViaService" not in str(statement.get("Condition", {})) and not action.startswith("ec2:")
    }


def test_nothing_the_tasks_call_has_to_go_through_the_firewall(every_environment: Synthesis) -> None:
    allowed = policies(every_environment)
    used = used_actions(every_environment)
    past_no_endpoint = {action for action in used if action.split(":")[0] not in ENDPOINTS_OF_A_SERVICE}
    refused = {
        f"{action} at the endpoint {endpoint}"
        for action in used - past_no_endpoint
        for endpoint in ENDPOINTS_OF_A_SERVICE[action.split(":")[0]]
        if action not in actions(allowed[endpoint])
    }

    assert len(used) >= 9
    assert past_no_endpoint == set(), "give the service an endpoint in stacks/constructs/service_endpoints.py"
    assert refused == set(), "name the action in stacks/constructs/endpoint_policies.py"


def test_an_endpoint_offers_no_action_that_no_role_uses_or_will_use(production: Synthesis) -> None:
    offered = {action for statements in policies(production).values() for action in actions(statements)}

    assert offered - used_actions(production) == FOR_NO_ROLE | PREPARED


def test_actions_and_resources_are_named(every_environment: Synthesis) -> None:
    for endpoint, statements in policies(every_environment).items():
        for statement in statements:
            where = f"{endpoint}: {statement}"
            assert not any("*" in action for action in as_list(statement["Action"])), where
            if "*" in as_list(statement["Resource"]):
                assert set(as_list(statement["Action"])) <= WITHOUT_RESOURCE, where


def test_resources_are_of_this_account_or_of_aws(every_environment: Synthesis) -> None:
    account = every_environment.environment.deployment.account
    foundation_models = re.compile(r"arn:aws:bedrock:eu-[a-z]+-\d::foundation-model/\*")
    layers = "arn:aws:s3:::prod-eu-central-1-starport-layer-bucket/*"
    for endpoint, statements in policies(every_environment).items():
        for statement in statements:
            for resource in as_list(statement["Resource"]):
                ours = re.fullmatch(rf"arn:aws:(iam:|[a-z]+:eu-central-1):{account}:.+", resource)
                aws = foundation_models.fullmatch(resource) or resource == layers
                assert ours or aws or resource == "*", f"{endpoint}: {resource}"


def test_endpoints_serve_principals_of_this_account_only(every_environment: Synthesis) -> None:
    account = every_environment.environment.deployment.account
    for endpoint, statements in policies(every_environment).items():
        for statement in statements:
            if statement["Sid"] in ALSO_OF_OTHERS:
                assert endpoint == "s3"
                assert statement["Action"] == "s3:GetObject"
            else:
                assert statement["Condition"] == {"StringEquals": {"aws:PrincipalAccount": account}}


@pytest.mark.parametrize(
    ("endpoint", "contracted"),
    [
        ("dynamodb", "table/ai_model_registry"),
        ("ssm", "parameter/ai-orchestration/production/route-sets/active"),
        ("ssm", "parameter/ai-orchestration/production/flags/rollout-stage"),
        ("logs", "log-group:ai-orchestration-production-gateway-Logs6819BB44-x:log-stream:y"),
        ("bedrock-runtime", "inference-profile/eu.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ],
)
def test_contracted_names_are_among_the_resources(
    production: Synthesis, endpoint: str, contracted: str
) -> None:
    patterns = [
        resource.split(":", 5)[5]
        for statement in policies(production)[endpoint]
        for resource in as_list(statement["Resource"])
    ]

    assert any(fnmatch.fnmatchcase(contracted, pattern) for pattern in patterns), patterns


def test_other_environments_parameters_are_out_of_reach(production: Synthesis) -> None:
    (statement,) = policies(production)["ssm"]

    assert statement["Resource"].endswith(":parameter/ai-orchestration/production/*")


def test_every_endpoint_has_a_policy(every_environment: Synthesis) -> None:
    without = [
        endpoint.name
        for endpoint in every_environment.resources("AWS::EC2::VPCEndpoint")
        if not _has_policy(endpoint)
    ]

    assert without == []


def _has_policy(endpoint: Resource) -> bool:
    return bool(endpoint.properties.get("PolicyDocument", {}).get("Statement"))
