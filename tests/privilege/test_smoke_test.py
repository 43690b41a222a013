"""The smoke test under the role that a release which shifts traffic gives it; the local one does not shift.

The function is made from the synthesised policy, in the emulated account, beside what is deployed there, and
asks the deployed gateway. What it may do to network interfaces stays out: the emulator has none.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stacks.settings_release import ReleaseStrategy
from tests.local.embedded_cloud import RunningCloud
from tests.privilege.holders import admin, outputs
from tests.privilege.policies import as_list
from tests.stacks.synthesis import load_environment, synthesise

CODE = Path(__file__).resolve().parents[2] / "lambdas" / "smoke_test" / "handler.py"
NAME = "smoke-test-exercise"
NETWORK = "ec2:"


@dataclass(frozen=True)
class Exercised:
    """The function in the emulated account, and the policy it needs."""

    cloud: RunningCloud
    statements: list[dict[str, Any]]

    def verdict(self, statements: list[dict[str, Any]]) -> tuple[str, bool]:
        """What the function tells ECS under these permissions, and whether it could log."""
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        admin(self.cloud, "iam").put_role_policy(RoleName=NAME, PolicyName=NAME, PolicyDocument=policy)
        before = self._logged()
        answer = admin(self.cloud, "lambda").invoke(FunctionName=NAME, Payload=b"{}")
        told = json.loads(answer["Payload"].read())
        return str(told["hookStatus"]), self._logged() > before

    def _logged(self) -> int:
        logs = admin(self.cloud, "logs")
        streams = logs.describe_log_streams(logGroupName=NAME)["logStreams"]
        return sum(
            len(logs.get_log_events(logGroupName=NAME, logStreamName=one["logStreamName"])["events"])
            for one in streams
        )


@pytest.fixture(scope="module")
def smoke_test(embedded_cloud: RunningCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exercised]:
    """The function, its role and its log group; gone afterwards."""
    identities, functions, logs = (admin(embedded_cloud, name) for name in ("iam", "lambda", "logs"))
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = identities.create_role(RoleName=NAME, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    logs.create_log_group(logGroupName=NAME)
    functions.create_function(
        FunctionName=NAME,
        Runtime="python3.13",
        Role=role,
        Handler="handler.handler",
        Code={"ZipFile": zipped(CODE)},
        Timeout=30,
        LoggingConfig={"LogGroup": NAME},
        Environment={
            "Variables": {
                "TEST_URL": embedded_cloud.connection.url,
                "CLIENT_KEYS_SECRET": outputs(embedded_cloud, "secrets")["ClientKeysSecretArn"],
                "PATIENCE_S": "0",
            }
        },
    )
    try:
        directory = tmp_path_factory.mktemp("shifting") / "out"
        yield Exercised(embedded_cloud, list(enforceable_statements(embedded_cloud, directory)))
    finally:
        functions.delete_function(FunctionName=NAME)
        identities.delete_role_policy(RoleName=NAME, PolicyName=NAME)
        identities.delete_role(RoleName=NAME)
        logs.delete_log_group(logGroupName=NAME)


def zipped(source: Path) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.write(source, source.name)
    return archive.getvalue()


def enforceable_statements(cloud: RunningCloud, directory: Path) -> Iterator[dict[str, Any]]:
    """What the synthesised role may do, on the resources of the emulated account."""
    settings = load_environment("local")
    release = settings.release.model_copy(update={"strategy": ReleaseStrategy.CANARY})
    synthesis = synthesise(settings.model_copy(update={"release": release}), directory)
    (policy,) = (
        policy
        for policy in synthesis.resources("AWS::IAM::Policy", "Gateway")
        if "SmokeTestRole" in json.dumps(policy.properties["Roles"])
    )
    exports = {one["Name"]: one["Value"] for one in admin(cloud, "cloudformation").list_exports()["Exports"]}
    for statement in policy.properties["PolicyDocument"]["Statement"]:
        if not all(action.startswith(NETWORK) for action in as_list(statement["Action"])):
            yield {**statement, "Resource": resource_of(statement["Resource"], exports, cloud)}


def resource_of(value: dict[str, Any], exports: dict[str, str], cloud: RunningCloud) -> str:
    """An export of a deployed stack, or the log group, which this test makes itself."""
    if "Fn::ImportValue" in value:
        return exports[value["Fn::ImportValue"]]
    assert "Logs" in value["Fn::GetAtt"][0], value
    return f"arn:aws:logs:{cloud.account.region}:{cloud.account.id}:log-group:{NAME}:*"


def test_its_permissions_are_enough(smoke_test: Exercised) -> None:
    assert smoke_test.verdict(smoke_test.statements) == ("SUCCEEDED", True)


@pytest.mark.parametrize("action", ["secretsmanager:GetSecretValue", "kms:Decrypt"])
def test_without_reading_the_client_key_it_keeps_callers_away(smoke_test: Exercised, action: str) -> None:
    fewer = [one for one in smoke_test.statements if action not in as_list(one["Action"])]

    assert len(fewer) == len(smoke_test.statements) - 1
    assert smoke_test.verdict(fewer) == ("FAILED", True)


@pytest.mark.parametrize("action", ["logs:CreateLogStream", "logs:PutLogEvents"])
def test_without_a_log_permission_its_reasons_are_lost(smoke_test: Exercised, action: str) -> None:
    fewer = [
        {**one, "Action": [kept for kept in as_list(one["Action"]) if kept != action]}
        for one in smoke_test.statements
        if as_list(one["Action"]) != [action]
    ]
    _recreate_log_group(smoke_test)

    assert smoke_test.verdict(fewer) == ("SUCCEEDED", False)


def _recreate_log_group(smoke_test: Exercised) -> None:
    """A stream that an earlier call opened would hide that none can be opened."""
    logs = admin(smoke_test.cloud, "logs")
    logs.delete_log_group(logGroupName=NAME)
    logs.create_log_group(logGroupName=NAME)


def test_every_permission_of_the_role_was_taken_away_once(smoke_test: Exercised) -> None:
    actions = {action for one in smoke_test.statements for action in as_list(one["Action"])}

    assert actions == {
        "secretsmanager:GetSecretValue",
        "kms:Decrypt",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
    }
