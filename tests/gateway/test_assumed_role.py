"""Bedrock in another account: credentials are renewed ahead, and kept while STS is away."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, cast

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from gateway.control.assumed_role import LIFETIME_S, RENEW_AHEAD_S, AssumedRole, Held
from gateway.control.registry import Provider
from gateway.control.snapshot import Snapshot
from tests.gateway.running import running_gateway
from tests.gateway.stores import Stores
from tests.gateway.upstreams import Upstreams

if TYPE_CHECKING:
    from types_boto3_sts.client import STSClient

ROLE = "arn:aws:iam::210987654321:role/bedrock/for-the-gateway"


class Sts:
    """Gives numbered credentials for an hour, or fails."""

    def __init__(self) -> None:
        self.now_s = 1_000_000.0
        self.failure: Exception | None = None
        self.asked: list[dict[str, object]] = []

    def assume_role(self, **arguments: object) -> dict[str, dict[str, object]]:
        self.asked.append(arguments)
        if self.failure is not None:
            raise self.failure
        end = datetime.datetime.fromtimestamp(self.now_s + LIFETIME_S, datetime.UTC)
        number = len(self.asked)
        return {
            "Credentials": {
                "AccessKeyId": f"ASIA{number}",
                "SecretAccessKey": "not-a-secret",
                "SessionToken": "token",
                "Expiration": end,
            }
        }


@pytest.fixture
def sts() -> Sts:
    return Sts()


@pytest.fixture
def role(sts: Sts) -> AssumedRole:
    return AssumedRole(cast("STSClient", sts), ROLE, "agreed", "production", now_s=lambda: sts.now_s)


@pytest.fixture
def held(role: AssumedRole) -> Snapshot[Held]:
    snapshot = Snapshot("bedrock_credentials", role.load, interval_s=30)
    snapshot.refresh()
    return snapshot


def denied() -> ClientError:
    told = "User arn:aws:sts::111111111111:assumed-role/x is not authorized"
    return ClientError({"Error": {"Code": "AccessDenied", "Message": told}}, "AssumeRole")


def test_the_session_bears_the_environments_name_and_the_external_id(sts: Sts, held: Snapshot[Held]) -> None:
    assert sts.asked == [
        {
            "RoleArn": ROLE,
            "RoleSessionName": "production",
            "ExternalId": "agreed",
            "DurationSeconds": LIFETIME_S,
        }
    ]
    assert held.value is not None
    assert held.value.credentials[:3] == ("ASIA1", "not-a-secret", "token")
    assert "not-a-secret" not in repr(held.value)


def test_without_an_external_id_none_is_sent(sts: Sts) -> None:
    AssumedRole(cast("STSClient", sts), ROLE, None, "production").load(None)
    assert "ExternalId" not in sts.asked[0]


def test_credentials_are_kept_until_well_before_their_end(sts: Sts, held: Snapshot[Held]) -> None:
    sts.now_s += LIFETIME_S - RENEW_AHEAD_S - 1
    held.refresh()
    assert len(sts.asked) == 1
    sts.now_s += 2
    held.refresh()
    assert len(sts.asked) == 2


@pytest.mark.parametrize("failure", [denied(), EndpointConnectionError(endpoint_url="https://sts.example")])
def test_a_failure_keeps_the_old_ones_until_their_end_and_then_says_why(
    sts: Sts, role: AssumedRole, held: Snapshot[Held], failure: Exception
) -> None:
    sts.failure = failure
    sts.now_s += LIFETIME_S - 1
    held.refresh()
    assert role.in_force(held.value) is not None
    assert role.obstacle(held.value) is None
    assert len(held.complaints) == 1
    sts.now_s += 2
    held.refresh()
    assert role.in_force(held.value) is None
    why = role.obstacle(held.value)
    assert why is not None
    assert ("AccessDenied" if isinstance(failure, ClientError) else "EndpointConnectionError") in why
    assert "111111111111" not in str(held.complaints) + why
    assert "210987654321" not in why
    sts.failure = None
    held.refresh()
    assert role.obstacle(held.value) is None


def test_refused_credentials_are_replaced_however_long_they_were_to_live(
    sts: Sts, role: AssumedRole, held: Snapshot[Held]
) -> None:
    assert held.value is not None
    role.refuse(held.value.credentials)
    held.refresh()
    held.refresh()
    assert len(sts.asked) == 2


def test_before_the_first_answer_the_provider_is_left_out(role: AssumedRole) -> None:
    assert "not been assumed" in (role.obstacle(None) or "")


@mock_aws
def test_sts_itself_is_understood() -> None:
    client = boto3.client("sts", region_name="eu-central-1")
    role = AssumedRole(client, ROLE, "agreed", "production")
    loaded = role.load(None)
    assert role.in_force(loaded.value) is not None
    assert str(loaded.value.credentials.access_key).startswith("ASIA")


async def test_the_gateway_signs_for_bedrock_with_the_assumed_role(
    stores: Stores, upstreams: Upstreams
) -> None:
    async with running_gateway(
        stores, upstreams, BEDROCK_ROLE_ARN=ROLE, BEDROCK_ROLE_EXTERNAL_ID="agreed"
    ) as gateway:
        assert (await gateway.route(model="claude-haiku-4-5")).status == 200
        credentials = gateway.application.control.credentials[Provider.BEDROCK].take_up.in_force()
        assert str(credentials.access_key).startswith("ASIA")  # type: ignore[attr-defined]
        upstreams.bedrock.status = 403
        assert (await gateway.route(model="claude-haiku-4-5")).status == 503
        renewed = gateway.application.control.credentials[Provider.BEDROCK].take_up.in_force()
        assert renewed != credentials, "what was refused is not replaced"
