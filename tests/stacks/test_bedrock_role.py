"""Bedrock in another account: the task may assume one role, and invoke nothing with its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stacks.bedrock_role import main, role_documents
from stacks.constructs.bedrock_access import EU_DESTINATION_REGIONS, INVOKING
from stacks.declared_models import load_models
from stacks.settings import Environment, SettingsError, load
from tests.stacks.synthesis import ENVIRONMENT_NAMES, ENVIRONMENTS, Synthesis, load_environment, synthesise

ROLE = "arn:aws:iam::210987654321:role/bedrock/for-the-gateway"
TASK_ROLES = "arn:aws:iam::333333333333:role/ai-orchestration-production-gateway-TaskRole*"
PROFILES = "arn:aws:bedrock:eu-central-1:210987654321:inference-profile/eu."


def with_role(environment: Environment, external_id: str | None = "agreed") -> Environment:
    providers = environment.providers
    bedrock = providers.bedrock.model_copy(update={"role_arn": ROLE, "external_id": external_id})
    return environment.model_copy(update={"providers": providers.model_copy(update={"bedrock": bedrock})})


@pytest.fixture(scope="module")
def abroad(tmp_path_factory: pytest.TempPathFactory) -> Synthesis:
    return synthesise(with_role(load_environment("production")), tmp_path_factory.mktemp("abroad"))


def task_statements(synthesis: Synthesis) -> list[dict[str, Any]]:
    task_role = synthesis.only("AWS::ECS::TaskDefinition")["TaskRoleArn"]["Fn::GetAtt"][0]
    return [
        statement
        for policy in synthesis.resources("AWS::IAM::Policy")
        if {"Ref": task_role} in policy.properties["Roles"]
        for statement in policy.properties["PolicyDocument"]["Statement"]
    ]


def variables(synthesis: Synthesis) -> dict[str, Any]:
    (container,) = synthesis.only("AWS::ECS::TaskDefinition")["ContainerDefinitions"]
    return {one["Name"]: one["Value"] for one in container["Environment"]}


def endpoint(synthesis: Synthesis, ending: str) -> list[dict[str, Any]]:
    (found,) = (
        each.properties["PolicyDocument"]["Statement"]
        for each in synthesis.resources("AWS::EC2::VPCEndpoint", "Network")
        if each.properties["ServiceName"] == f"com.amazonaws.eu-central-1.{ending}"
    )
    return list(found)


def test_the_task_may_assume_exactly_that_role_and_invokes_nothing_itself(abroad: Synthesis) -> None:
    statements = task_statements(abroad)
    assert [each for each in statements if "sts:" in str(each["Action"])] == [
        {"Action": "sts:AssumeRole", "Effect": "Allow", "Resource": ROLE}
    ]
    assert "bedrock:" not in str([each["Action"] for each in statements])


def test_the_container_is_told_the_role_and_what_was_agreed(abroad: Synthesis) -> None:
    assert variables(abroad)["BEDROCK_ROLE_ARN"] == ROLE
    assert variables(abroad)["BEDROCK_ROLE_EXTERNAL_ID"] == "agreed"


def test_the_network_lets_that_role_through_to_its_own_accounts_profiles(abroad: Synthesis) -> None:
    (tokens,) = endpoint(abroad, "sts")
    assert ROLE in tokens["Resource"]
    assert tokens["Condition"] == {"StringEquals": {"aws:PrincipalAccount": "333333333333"}}
    (invocations,) = endpoint(abroad, "bedrock-runtime")
    assert invocations["Condition"] == {"StringEquals": {"aws:PrincipalArn": ROLE}}
    assert invocations["Resource"] == [
        f"{PROFILES}*",
        *(f"arn:aws:bedrock:{region}::foundation-model/*" for region in EU_DESTINATION_REGIONS),
    ]


def test_it_is_off_everywhere(every_environment: Synthesis) -> None:
    assert not {name for name in variables(every_environment) if name.startswith("BEDROCK_ROLE")}
    assert "sts:" not in str([each["Action"] for each in task_statements(every_environment)])


@pytest.mark.parametrize("name", ENVIRONMENT_NAMES)
def test_a_role_is_not_assumed_where_bedrock_is_disabled(name: str) -> None:
    bedrock = with_role(load_environment(name)).providers.bedrock
    assert bedrock.model_copy(update={"enabled": False}).assumed_role_arn is None


def test_the_other_account_is_told_whom_to_trust_and_what_to_allow() -> None:
    documents: Any = role_documents(
        with_role(load_environment("production")), load_models(ENVIRONMENTS / "models")
    )
    assert documents["role"] == ROLE
    assert documents["trust_policy"]["Statement"] == [
        {
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::333333333333:root"},
            "Action": "sts:AssumeRole",
            "Condition": {
                "ArnLike": {"aws:PrincipalArn": TASK_ROLES},
                "StringEquals": {"sts:ExternalId": "agreed"},
            },
        }
    ]
    allowed = documents["permissions"]["Statement"]
    profiles = [each for each in allowed if "Condition" not in each]
    assert all(each["Resource"].startswith(PROFILES) for each in profiles)
    models = {
        model.invocation_id for model in load_models(ENVIRONMENTS / "models") if model.provider == "bedrock"
    }
    assert {each["Resource"].rpartition("/")[2] for each in profiles} == models
    assert all(each["Action"] == list(INVOKING) for each in allowed)


def test_the_task_role_bears_the_name_that_is_trusted(abroad: Synthesis) -> None:
    """CloudFormation begins a role's name with the stack's and the logical id's."""
    logical_id = abroad.only("AWS::ECS::TaskDefinition")["TaskRoleArn"]["Fn::GetAtt"][0]
    assert logical_id.startswith("TaskRole")
    assert (
        abroad.manifest["stacks"]["Gateway"]["properties"]["stackName"]
        == "ai-orchestration-production-gateway"
    )


def test_without_a_role_there_is_nothing_to_print(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["production"]) == 1
    assert "providers.bedrock.role_arn" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("lines", "key"),
    [
        (f'role_arn = "{ROLE}"\nexternal_id = "agreed"', None),
        ('role_arn = "arn:aws:iam::210987654321:user/somebody"', "role_arn"),
        ('role_arn = "arn:aws:iam::2109:role/x"', "role_arn"),
        ('role_arn = "arn:aws:iam::210987654321:role/*"', "role_arn"),
        ('role_arn = "arn:aws-us-gov:iam::210987654321:role/x"', "role_arn"),
        ('external_id = "agreed"', "external_id"),
        (f'role_arn = "{ROLE}"\nexternal_id = "with blank"', "external_id"),
    ],
)
def test_a_role_that_cannot_be_assumed_is_refused_with_the_settings(
    tmp_path: Path, lines: str, key: str | None
) -> None:
    text = (ENVIRONMENTS / "production.toml").read_text()
    for folder in ("route-sets", "guardrails"):
        (tmp_path / folder).symlink_to(ENVIRONMENTS / folder)
    file = tmp_path / "production.toml"
    file.write_text(
        text.replace("[providers.bedrock]\nenabled = true", f"[providers.bedrock]\nenabled = true\n{lines}")
    )
    if key is None:
        assert load(file).providers.bedrock.assumed_role_arn == ROLE
        return
    with pytest.raises(SettingsError) as refused:
        load(file)
    assert [mistake.key for mistake in refused.value.mistakes] == [f"providers.bedrock.{key}"]
