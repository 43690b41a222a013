"""Secrets from the command line: ages and labels, a rotation that is waited for, and never a value."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import cast

import pytest

from lambdas.secret_rotation.handler import KEPT_FOR_THE_END_S, LONGEST_PATIENCE_S
from operations import rotation
from operations.environment import Account
from operations.errors import OperationError
from stacks.constructs.secret_rotation import TIMEOUT_S

NOW = datetime.datetime(2026, 11, 21, 3, 0, tzinfo=datetime.UTC)
OUTPUTS = {
    "ClientKeysSecretArn": "arn:client",
    "GoogleSecretArn": "arn:google",
    "RotationFunctionName": "rotate-it",
}


class Secrets:
    """Secrets Manager, where a rotation is through after `polls` looks at it, or never."""

    def __init__(
        self, polls: int | None = 2, *, rotated: Sequence[str] = ("arn:client", "arn:google")
    ) -> None:
        self.polls = polls
        self.rotated = rotated
        self.asked: list[str] = []

    def rotate_secret(self, *, SecretId: str) -> object:  # noqa: N803
        self.asked.append(SecretId)
        return {}

    def describe_secret(self, *, SecretId: str) -> Mapping[str, object]:  # noqa: N803
        if self.asked and self.polls is not None:
            self.polls -= 1
        if self.polls is not None and self.polls <= 0:
            return {"VersionIdsToStages": {"new": ["AWSCURRENT"], "old": ["AWSPREVIOUS"]}}
        stages = {"old": ["AWSCURRENT"], "new": ["AWSPENDING"]}
        rotates = SecretId in self.rotated
        return {"Name": SecretId, "VersionIdsToStages": stages, "RotationEnabled": rotates}

    def list_secret_version_ids(self, *, SecretId: str) -> Mapping[str, object]:  # noqa: N803
        made = NOW - datetime.timedelta(days=40 if SecretId == "arn:client" else 3, hours=1)
        return {"Versions": [{"VersionStages": ["AWSCURRENT"], "CreatedDate": made}]}

    def get_secret_value(self, **_: object) -> object:
        raise AssertionError("nobody asked for the value")


class Deployed:
    """As much of an account as the commands ask."""

    name = "staging"

    def __init__(self, secrets: Secrets) -> None:
        self.secrets = secrets

    def outputs(self, stack: str) -> Mapping[str, str]:
        assert stack == "secrets"
        return OUTPUTS

    def output(self, stack: str, key: str) -> str:
        return self.outputs(stack)[key]


class Time:
    """A clock that goes on while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> rotation.Clock:
        return rotation.Clock(lambda: self.now, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def account(secrets: Secrets) -> Account:
    return cast("Account", Deployed(secrets))


def test_a_rotation_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    secrets = Secrets(polls=4)
    assert rotation.rotate(account(secrets), "google", Time().clock()) == 0
    assert secrets.asked == ["arn:google"]
    assert "google of staging: new value after 3.0 s" in capsys.readouterr().out


def test_a_secret_that_nothing_rotates_is_not_waited_for() -> None:
    secrets = Secrets(rotated=())
    with pytest.raises(OperationError, match="has no function that rotates it") as refused:
        rotation.rotate(account(secrets), "google", Time().clock())
    assert "secrets.rotation" in str(refused.value)
    assert not secrets.asked


def test_a_rotation_that_does_not_get_through_names_the_function_whose_log_says_why() -> None:
    time = Time()
    with pytest.raises(OperationError, match="log of the function rotate-it says why") as ended:
        rotation.rotate(account(Secrets(polls=None)), "client-keys", time.clock())
    assert "the old one goes on to work" in str(ended.value)
    assert (ended.value.status, time.now) == (1, rotation.PATIENCE_S)


def test_the_slowest_rotation_that_is_well_is_waited_for() -> None:
    tested_twice_s = 2 * (LONGEST_PATIENCE_S + KEPT_FOR_THE_END_S)
    assert tested_twice_s <= TIMEOUT_S * 2
    assert rotation.PATIENCE_S >= 2 * TIMEOUT_S + 60


def test_every_secret_that_is_deployed_has_a_line_without_its_value(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert rotation.list_secrets(account(Secrets(polls=None, rotated=["arn:client"])), NOW) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[:4] for line in lines[1:]] == [
        ["client-keys", "40", "2026-10-12T02:00:00Z", "AWSCURRENT,AWSPENDING"],
        ["google", "3", "2026-11-18T02:00:00Z", "AWSCURRENT,AWSPENDING"],
    ]
    assert [line[5] for line in lines[1:]] == ["itself", "hand"]
