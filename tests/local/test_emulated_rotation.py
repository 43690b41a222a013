"""RotateSecret and schedules of the emulator: they call functions as AWS does."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from local import servers
from local.aws import Account
from local.ports import Ports
from local.state import StateDirectory

ACCOUNT, REGION = "111122223333", "eu-central-1"
STEPS = ["createSecret", "setSecret", "testSecret", "finishSecret"]
CODE = """
import json, os, boto3

def handler(event, context):
    print(json.dumps(event))
    if os.environ["FAILS_AT"] == event.get("Step"):
        raise ValueError("asked to fail")
    secrets = boto3.client("secretsmanager")
    arn, token = event.get("SecretId"), event.get("ClientRequestToken")
    if event.get("Step") == "createSecret":
        secrets.put_secret_value(
            SecretId=arn, ClientRequestToken=token, SecretString="new " + token, VersionStages=["AWSPENDING"]
        )
    if event.get("Step") == "finishSecret":
        current = secrets.get_secret_value(SecretId=arn)["VersionId"]
        secrets.update_secret_version_stage(
            SecretId=arn, VersionStage="AWSCURRENT", MoveToVersionId=token, RemoveFromVersionId=current
        )
"""
ALLOWED = {"Effect": "Allow", "Action": ["secretsmanager:*", "logs:*"], "Resource": "*"}


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    state = StateDirectory(tmp_path_factory.mktemp("emulator"))
    yield servers.ensure_emulator(state, Ports.free(), ACCOUNT, REGION)
    state.processes.stop(servers.EMULATOR, grace_s=5)


@pytest.fixture(scope="module")
def client(account: Account) -> Callable[[str], Any]:
    session: Any = account.session()
    return lambda service: session.client(service, endpoint_url=account.endpoint_url)


class Rotated:
    """A secret and the function that rotates it."""

    def __init__(self, client: Callable[[str], Any], *, fails_at: str = "", allowed: bool = True) -> None:
        self.name = f"rotated-{uuid4().hex[:8]}"
        self.secrets, self._functions, self._logs = (
            client(service) for service in ("secretsmanager", "lambda", "logs")
        )
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        role = client("iam").create_role(
            RoleName=self.name, AssumeRolePolicyDocument=json.dumps(_policy(trust))
        )
        client("iam").put_role_policy(
            RoleName=self.name, PolicyName="all", PolicyDocument=json.dumps(_policy(ALLOWED))
        )
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as opened:
            opened.writestr("handler.py", CODE)
        self.function = self._functions.create_function(
            FunctionName=self.name,
            Runtime="python3.13",
            Role=role["Role"]["Arn"],
            Handler="handler.handler",
            Code={"ZipFile": archive.getvalue()},
            Timeout=30,
            Environment={"Variables": {"FAILS_AT": fails_at}},
        )["FunctionArn"]
        if allowed:
            self.allow("secretsmanager.amazonaws.com", SourceAccount=ACCOUNT)
        self.arn = self.secrets.create_secret(Name=self.name, SecretString="old")["ARN"]

    def allow(self, principal: str, **source: str) -> None:
        self._functions.add_permission(
            FunctionName=self.name,
            StatementId=uuid4().hex,
            Action="lambda:InvokeFunction",
            Principal=principal,
            **source,
        )

    def rotate(self, **further: object) -> dict[str, Any]:
        answer: dict[str, Any] = self.secrets.rotate_secret(
            SecretId=self.arn, RotationLambdaARN=self.function, **further
        )
        return answer

    def events(self) -> list[dict[str, Any]]:
        """What the function was called with, in order."""
        group = f"/aws/lambda/{self.name}"
        try:
            streams = self._logs.describe_log_streams(logGroupName=group)["logStreams"]
        except ClientError:
            return []
        lines = [
            event
            for stream in streams
            for event in self._logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])[
                "events"
            ]
        ]
        return [
            json.loads(line["message"])
            for line in sorted(lines, key=lambda line: line["timestamp"])
            if line["message"].startswith("{")
        ]

    def wait_for(self, count: int) -> list[dict[str, Any]]:
        deadline = time.monotonic() + 20
        while len(found := self.events()) < count:
            assert time.monotonic() < deadline, found
            time.sleep(0.05)
        return found

    def stages(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = self.secrets.describe_secret(SecretId=self.arn)["VersionIdsToStages"]
        return found


def _policy(statement: Mapping[str, object]) -> dict[str, object]:
    return {"Version": "2012-10-17", "Statement": [statement]}


def test_the_function_is_called_with_the_four_steps_in_order(client: Callable[[str], Any]) -> None:
    rotated = Rotated(client)

    token = rotated.rotate(RotationRules={"AutomaticallyAfterDays": 30})["VersionId"]
    events = rotated.wait_for(4)

    assert [event["Step"] for event in events] == STEPS
    assert {event["ClientRequestToken"] for event in events} == {token}
    assert {event["SecretId"] for event in events} == {rotated.arn}
    assert rotated.secrets.get_secret_value(SecretId=rotated.arn)["SecretString"] == f"new {token}"
    described = rotated.secrets.describe_secret(SecretId=rotated.arn)
    assert described["RotationEnabled"]
    assert "AWSCURRENT" in described["VersionIdsToStages"][token]
    _wait(lambda: "LastRotatedDate" in rotated.secrets.describe_secret(SecretId=rotated.arn))
    described = rotated.secrets.describe_secret(SecretId=rotated.arn)
    assert (described["NextRotationDate"] - described["LastRotatedDate"]).days == 30


def test_a_step_that_fails_has_the_rotation_repeated_from_its_beginning(client: Callable[[str], Any]) -> None:
    rotated = Rotated(client, fails_at="testSecret")

    token = rotated.rotate()["VersionId"]
    events = rotated.wait_for(9)

    assert [event["Step"] for event in events] == 3 * STEPS[:3]
    assert rotated.stages()[token] == ["AWSPENDING"]
    assert rotated.secrets.get_secret_value(SecretId=rotated.arn)["SecretString"] == "old"


def test_a_rotation_that_hangs_keeps_the_next_from_starting(client: Callable[[str], Any]) -> None:
    rotated = Rotated(client)
    rotated.secrets.put_secret_value(SecretId=rotated.arn, SecretString="x", VersionStages=["AWSPENDING"])

    with pytest.raises(ClientError, match="A previous rotation isn't complete"):
        rotated.rotate()

    assert rotated.events() == []


def test_a_function_that_lets_nobody_call_it_is_not_called(client: Callable[[str], Any]) -> None:
    rotated = Rotated(client, allowed=False)
    rotated.allow("secretsmanager.amazonaws.com", SourceAccount="999999999999")
    rotated.allow("events.amazonaws.com", SourceAccount=ACCOUNT)

    with pytest.raises(ClientError, match="cannot invoke the specified Lambda function"):
        rotated.rotate()

    assert (
        "RotationEnabled" not in rotated.secrets.describe_secret(SecretId=rotated.arn)
        or not (rotated.secrets.describe_secret(SecretId=rotated.arn)["RotationEnabled"])
    )


def test_a_rotation_for_later_tries_the_function_with_the_value_in_force(
    client: Callable[[str], Any],
) -> None:
    rotated = Rotated(client)

    assert "VersionId" not in rotated.rotate(RotateImmediately=False)
    (event,) = rotated.wait_for(1)

    assert event["Step"] == "testSecret"
    _wait(lambda: event["ClientRequestToken"] not in rotated.stages())
    assert rotated.secrets.get_secret_value(SecretId=rotated.arn)["SecretString"] == "old"


def test_a_version_gets_its_value_once(client: Callable[[str], Any]) -> None:
    secrets = client("secretsmanager")
    arn = secrets.create_secret(Name=uuid4().hex, SecretString="first")["ARN"]
    token = str(uuid4())
    put = {"SecretId": arn, "ClientRequestToken": token, "VersionStages": ["AWSPENDING"]}

    secrets.put_secret_value(**put, SecretString="second")
    secrets.put_secret_value(**put, SecretString="second")
    with pytest.raises(ClientError, match="ResourceExistsException"):
        secrets.put_secret_value(**put, SecretString="third")
    other = str(uuid4())
    secrets.put_secret_value(**{**put, "ClientRequestToken": other}, SecretString="fourth")

    stages = secrets.describe_secret(SecretId=arn)["VersionIdsToStages"]
    assert [token for token, labels in stages.items() if "AWSPENDING" in labels] == [other]


def test_a_rule_calls_only_a_function_that_lets_it_do_so(client: Callable[[str], Any]) -> None:
    rotated, events, name = Rotated(client), client("events"), f"rule-{uuid4().hex[:8]}"
    arn = events.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))["RuleArn"]
    events.put_targets(Rule=name, Targets=[{"Id": "one", "Arn": rotated.function}])
    entry = {"Source": name, "DetailType": "x", "Detail": "{}"}

    events.put_events(Entries=[entry])
    time.sleep(0.3)
    assert rotated.events() == []
    rotated.allow("events.amazonaws.com", SourceArn=arn)
    events.put_events(Entries=[entry])

    assert rotated.wait_for(1)[0]["source"] == name


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
