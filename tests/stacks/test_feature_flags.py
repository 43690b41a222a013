"""The FeatureFlags stack: every flag as it is declared, its tiers, and the functions behind them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from gateway.control.flag_declarations import DECLARED
from stacks.declared_flags import load_flags
from stacks.settings_kill_switch import KillSwitch, PullingAlarm
from tests.lambdas.flag_stores import PATH, VARIABLES
from tests.stacks.synthesis import Properties, Resource, Synthesis, load_environment, synthesise

STACK = "FeatureFlags"
ROOT = Path(__file__).parents[2]


def declared_flags(synthesis: Synthesis) -> dict[str, dict[str, str]]:
    """Flag name → what Parameter Store is told of its parameter."""
    flags: list[dict[str, str]] = json.loads(
        synthesis.only("AWS::CloudFormation::CustomResource", STACK)["Parameters"]
    )
    path = f"/ai-orchestration/{synthesis.environment.name}/flags/"
    assert all(flag["Name"].startswith(path) for flag in flags)
    return {flag["Name"].removeprefix(path): flag for flag in flags}


def function(synthesis: Synthesis, name: str) -> Resource:
    (found,) = (
        resource
        for resource in synthesis.resources("AWS::Lambda::Function", STACK)
        if resource.properties["Handler"] == f"lambdas.{name}.handler.handler"
    )
    return found


def permissions(synthesis: Synthesis, construct: str) -> dict[str, dict[str, Any]]:
    """Statement id → statement."""
    (policy,) = (
        resource.properties
        for resource in synthesis.resources("AWS::IAM::Policy", STACK)
        if resource.logical_id.startswith(f"{construct}Role")
    )
    return {statement["Sid"]: statement for statement in policy["PolicyDocument"]["Statement"]}


# ---- the first tier ----


def test_every_declared_flag_has_a_parameter_that_is_created_with_its_default(
    every_environment: Synthesis,
) -> None:
    flags = declared_flags(every_environment)
    assert {name: flag["Value"] for name, flag in flags.items()} == {
        name: declaration.default for name, declaration in DECLARED.items()
    }


def test_parameter_store_takes_every_default_and_every_value_of_a_flag(production: Synthesis) -> None:
    flags = declared_flags(production)
    for name, declaration in DECLARED.items():
        allowed = flags[name]["AllowedPattern"]
        for value in (declaration.default, *declaration.values):
            assert re.match(allowed, value), name
        for bound in (declaration.minimum, declaration.maximum):
            assert bound is None or re.match(allowed, str(bound)), name


@pytest.mark.parametrize(
    ("flag", "text"),
    [
        ("rollout-stage", "on"),
        ("kill-switch.all", "onward"),
        ("kill-switch.all", "of"),
        ("rollout.canary-share", "many"),
        ("rollout.canary-share", "1,5"),
        ("rollout.shadow-decisions", "1.5"),
        ("rollout.shadow-decisions", ""),
    ],
)
def test_parameter_store_refuses_what_is_of_another_kind(production: Synthesis, flag: str, text: str) -> None:
    assert not re.match(declared_flags(production)[flag]["AllowedPattern"], text)


def test_operators_read_in_the_parameter_what_a_flag_means(production: Synthesis) -> None:
    flags = declared_flags(production)
    for name, declaration in DECLARED.items():
        assert declaration.meaning in flags[name]["Description"]
        assert len(flags[name]["Description"]) <= 1024
    assert "From 0 to 5." in flags["rollout.canary-share"]["Description"]


# ---- the second tier ----


def test_the_flag_table_is_encrypted_and_can_be_restored(production: Synthesis) -> None:
    table = production.only("AWS::DynamoDB::GlobalTable", STACK)
    assert table["KeySchema"] == [{"AttributeName": "flag", "KeyType": "HASH"}]
    assert table["SSESpecification"] == {"SSEEnabled": True, "SSEType": "KMS"}
    (replica,) = table["Replicas"]
    assert replica["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
    assert "TableKey" in str(replica["SSESpecification"]["KMSMasterKeyId"])


def test_old_evidence_of_replicas_expires(production: Synthesis) -> None:
    table = production.only("AWS::DynamoDB::GlobalTable", STACK)
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}


# ---- the function that keeps the tiers in agreement ----


def rule(synthesis: Synthesis, member: str) -> Properties:
    (found,) = (
        resource.properties
        for resource in synthesis.resources("AWS::Events::Rule", STACK)
        if member in resource.properties
    )
    return found


def test_every_change_below_the_path_calls_the_flag_update(every_environment: Synthesis) -> None:
    name = every_environment.environment.name
    on_change = rule(every_environment, "EventPattern")
    assert on_change["EventPattern"] == {
        "source": ["aws.ssm"],
        "detail-type": ["Parameter Store Change"],
        "detail": {
            "name": [{"prefix": f"/ai-orchestration/{name}/flags/"}],
            "operation": ["Create", "Update", "Delete"],
        },
    }
    (target,) = on_change["Targets"]
    assert target["Arn"] == {"Fn::GetAtt": [function(every_environment, "flag_update").logical_id, "Arn"]}


def test_without_any_event_the_flag_update_looks_every_five_minutes(every_environment: Synthesis) -> None:
    schedule = rule(every_environment, "ScheduleExpression")
    assert schedule["ScheduleExpression"] == "rate(5 minutes)"
    (target,) = schedule["Targets"]
    assert json.loads(target["Input"]) == {"reconcile": True}


@pytest.mark.parametrize("name", ["flag_update", "kill_switch"])
def test_the_functions_are_told_what_the_contract_says(every_environment: Synthesis, name: str) -> None:
    told = function(every_environment, name).properties["Environment"]["Variables"]
    switches = {"SWITCH_OF_ALARM"} if name == "kill_switch" else set()
    assert set(told) == set(VARIABLES) | switches
    assert told["FLAG_PARAMETERS"] == PATH.replace("test", every_environment.environment.name)


def test_parameters_are_declared_before_the_function_could_miss_them(production: Synthesis) -> None:
    (declared,) = production.resources("AWS::CloudFormation::CustomResource", STACK)
    assert declared.logical_id in function(production, "flag_update").body["DependsOn"]


def test_the_flags_travel_with_the_function(production: Synthesis) -> None:
    code = function(production, "flag_update").properties["Code"]["S3Key"].removesuffix(".zip")
    asset = production.directory / f"asset.{code}"
    assert (asset / "environments" / "flags.json").read_text() == (
        ROOT / "environments" / "flags.json"
    ).read_text()
    assert not (asset / "gateway_image").exists()


def test_the_functions_may_do_what_they_are_for_and_nothing_else(every_environment: Synthesis) -> None:
    update = permissions(every_environment, "Update")
    assert {sid: statement["Action"] for sid, statement in update.items()} == {
        "ReadAllFlags": "ssm:GetParametersByPath",
        "JudgeAndTakeBackFlags": ["ssm:GetParameterHistory", "ssm:PutParameter"],
        "KeepTheSecondTier": ["dynamodb:PutItem", "dynamodb:Scan"],
        "AddAuditRecords": ["dynamodb:PutItem", "dynamodb:Query"],
        "DecryptTheTables": "kms:Decrypt",
        "WriteItsLog": ["logs:CreateLogStream", "logs:PutLogEvents"],
    }
    assert len(update["JudgeAndTakeBackFlags"]["Resource"]) == len(DECLARED)
    kill = permissions(every_environment, "KillSwitch")
    assert {sid: statement["Action"] for sid, statement in kill.items()} == {
        "TurnSwitchesOn": ["ssm:GetParameter", "ssm:PutParameter"],
        "TurnSwitchesOnInTheTable": ["dynamodb:GetItem", "dynamodb:PutItem"],
        "AddAuditRecords": ["dynamodb:PutItem", "dynamodb:Query"],
        "DecryptTheTables": "kms:Decrypt",
        "WriteItsLog": ["logs:CreateLogStream", "logs:PutLogEvents"],
    }
    switches = [name for name in DECLARED if name.startswith("kill-switch.")]
    assert len(kill["TurnSwitchesOn"]["Resource"]) == len(switches)
    assert kill["TurnSwitchesOnInTheTable"]["Condition"] == {
        "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": switches}
    }


def test_with_a_database_the_function_writes_it_from_the_network(tmp_path: Path) -> None:
    settings = load_environment("production")
    flags = settings.flags.model_copy(update={"database": True})
    synthesis = synthesise(settings.model_copy(update={"flags": flags}), tmp_path / "out")
    update = function(synthesis, "flag_update").properties
    told = update["Environment"]["Variables"]
    assert {name for name in told if name.startswith("FLAG_DATABASE_")} == {
        f"FLAG_DATABASE_{part}" for part in ("HOST", "PORT", "NAME", "USER")
    }
    assert told["FLAG_DATABASE_USER"] == "flag_writer"
    assert update["VpcConfig"]["SubnetIds"]
    assert update["Layers"]
    assert permissions(synthesis, "Update")["ConnectToTheFlagDatabase"]["Action"] == "rds-db:connect"
    code = update["Code"]["S3Key"].removesuffix(".zip")
    asset = synthesis.directory / f"asset.{code}"
    assert (asset / "gateway_image/gateway/control/rds_roots.pem").exists()


# ---- kill switches that alarms turn on ----


def test_only_alarms_of_the_account_write_to_the_encrypted_topic(production: Synthesis) -> None:
    topic = production.only("AWS::SNS::Topic", STACK)
    assert topic["KmsMasterKeyId"]
    statements = production.only("AWS::SNS::TopicPolicy", STACK)["PolicyDocument"]["Statement"]
    assert [
        (statement["Effect"], statement["Principal"])
        for statement in statements
        if statement["Effect"] == "Allow"
    ] == [("Allow", {"Service": "cloudwatch.amazonaws.com"})]
    (denial,) = [statement for statement in statements if statement["Effect"] == "Deny"]
    assert denial["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_the_topic_calls_the_function(every_environment: Synthesis) -> None:
    subscription = every_environment.only("AWS::SNS::Subscription", STACK)
    assert subscription["Protocol"] == "lambda"
    assert subscription["Endpoint"] == {
        "Fn::GetAtt": [function(every_environment, "kill_switch").logical_id, "Arn"]
    }
    assert "KillSwitchTopicArn" in every_environment.templates[STACK]["Outputs"]


def test_no_alarm_turns_anything_on_unless_the_settings_say_so(production: Synthesis) -> None:
    told = function(production, "kill_switch").properties["Environment"]["Variables"]
    assert json.loads(told["SWITCH_OF_ALARM"]) == {}
    for alarm in production.resources("AWS::CloudWatch::Alarm", "Monitoring"):
        assert len(alarm.properties["AlarmActions"]) == 1, alarm.name
        assert "AlarmName" not in alarm.properties


def test_an_alarm_of_the_settings_is_known_to_the_function_and_writes_to_its_topic(tmp_path: Path) -> None:
    settings = load_environment("production")
    pulled = KillSwitch(pulled_by={"ErrorRate": "all", "Latency": "google"})
    synthesis = synthesise(settings.model_copy(update={"kill_switch": pulled}), tmp_path / "out")
    told = function(synthesis, "kill_switch").properties["Environment"]["Variables"]
    switches = json.loads(told["SWITCH_OF_ALARM"])
    assert switches == {
        "ai-orchestration-production-ErrorRate": "kill-switch.all",
        "ai-orchestration-production-Latency": "kill-switch.google",
    }
    named = {
        resource.properties["AlarmName"]: resource.properties["AlarmActions"]
        for resource in synthesis.resources("AWS::CloudWatch::Alarm", "Monitoring")
        if "AlarmName" in resource.properties
    }
    assert set(named) == set(switches)
    for actions in named.values():
        assert len(actions) == 2
        assert "KillSwitchTopic" in json.dumps(actions)


def test_every_alarm_that_may_be_named_exists(every_environment: Synthesis) -> None:
    alarms = {
        resource.body["Metadata"]["aws:cdk:path"].split("/")[2]
        for resource in every_environment.resources("AWS::CloudWatch::Alarm", "Monitoring")
    }
    assert set(get_args(PullingAlarm)) <= alarms
    of_others = {name for name in alarms if name.endswith("Errors") and name != "RegistryErrors"}
    of_others |= {name for name in alarms if re.search("Secret|Flag|Rotation|Age", name)}
    assert alarms - of_others <= set(get_args(PullingAlarm))


# ---- the file ----


def test_the_file_holds_every_flag_of_the_gateway() -> None:
    assert [flag.name for flag in load_flags(ROOT)] == list(DECLARED)
