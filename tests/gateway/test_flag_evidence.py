"""In the shadow stage sampled requests are counted; the table gets to know without a request waiting."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from botocore.stub import Stubber

from gateway.control.flag_evidence import KEPT_FOR_S, EvidenceWriter, ShadowEvidence, in_share
from gateway.control.flags import BUILT_IN_FLAGS
from tests.gateway.flag_values import flags_with
from tests.gateway.running import Gateway
from tests.gateway.stores import FLAG_TABLE, Stores, aws_session, simulated_stores

SHADOW = {"rollout-stage": "shadow", "rollout.shadow-share": "100"}
IN_SHADOW = flags_with(SHADOW)
KEY = {"flag": {"S": "evidence#rollout-stage#1"}}
NOW_S = 1_800_000_000.0


@pytest.fixture
def filled() -> Iterator[Stores]:
    with simulated_stores("http://127.0.0.1/token") as stores:
        yield stores


def decisions(stores: Stores, key: dict[str, dict[str, str]] = KEY) -> int:
    item = stores.dynamodb.get_item(TableName=FLAG_TABLE, Key=key, ConsistentRead=True).get("Item", {})
    return int(item["decisions"]["N"]) if item else 0


def writer_of(evidence: ShadowEvidence, stores: Stores) -> EvidenceWriter:
    return EvidenceWriter(evidence, stores.dynamodb, FLAG_TABLE, wall_clock=lambda: NOW_S)


def test_replicas_add_up_what_they_counted(filled: Stores) -> None:
    for counted in (3, 0, 4):
        evidence = ShadowEvidence()
        for number in range(counted):
            evidence.answered(f"req_{number}", IN_SHADOW)
        writer = writer_of(evidence, filled)
        writer.flush()
        writer.flush()
    assert decisions(filled) == 7
    item = filled.dynamodb.get_item(TableName=FLAG_TABLE, Key=KEY)["Item"]
    assert int(item["expires_at"]["N"]) == NOW_S + KEPT_FOR_S


@pytest.mark.parametrize("stage", ["off", "canary", "active"])
def test_only_the_shadow_stage_is_counted(stage: str) -> None:
    evidence = ShadowEvidence()
    evidence.answered("req_1", flags_with({**SHADOW, "rollout-stage": stage}))
    evidence.answered("req_1", BUILT_IN_FLAGS)
    assert not evidence.take()


@pytest.mark.parametrize("percent", [0.0, 0.5, 10.0, 50.0, 100.0])
def test_the_share_of_requests_is_the_share_declared_and_each_request_is_judged_alike(percent: float) -> None:
    ids = [f"req_{number:024x}" for number in range(20_000)]
    sampled = [each for each in ids if in_share(each, percent)]
    assert len(sampled) / len(ids) * 100 == pytest.approx(percent, abs=0.7 if 0 < percent < 100 else 0.0)
    assert sampled == [each for each in ids if in_share(each, percent)]
    smaller = {each for each in ids if in_share(each, percent / 2)}
    assert smaller <= set(sampled), "whoever is in a share stays in it when it grows"


def failing(error: Exception, stores: Stores) -> EvidenceWriter:
    class Client:
        def update_item(self, **_request: object) -> None:
            raise error

    evidence = ShadowEvidence()
    evidence.answered("req_1", IN_SHADOW)
    EvidenceWriter(evidence, Client(), FLAG_TABLE).flush()  # type: ignore[arg-type]
    return writer_of(evidence, stores)


def client_error(code: str, status: int) -> ClientError:
    return ClientError(
        {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        "UpdateItem",
    )


@pytest.mark.parametrize(
    ("error", "counted"),
    [
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:1"), 1),
        (client_error("ProvisionedThroughputExceededException", 400), 1),
        (client_error("AccessDeniedException", 400), 1),
        (ReadTimeoutError(endpoint_url="http://127.0.0.1:1"), 0),
        (client_error("InternalServerError", 500), 0),
    ],
    ids=["not reached", "throttled", "denied", "no answer", "broken"],
)
def test_what_was_not_written_is_kept_and_what_may_have_been_is_never_counted_twice(
    filled: Stores, error: Exception, counted: int
) -> None:
    writer = failing(error, filled)
    writer.flush()
    assert decisions(filled) == counted


def test_a_stopped_replica_writes_what_it_has(filled: Stores) -> None:
    evidence = ShadowEvidence()
    writer = writer_of(evidence, filled)
    writer.start()
    evidence.answered("req_1", IN_SHADOW)
    writer.stop()
    assert decisions(filled) == 1


def test_evidence_is_added_and_never_set() -> None:
    client = aws_session().client("dynamodb")
    expected = {
        "TableName": FLAG_TABLE,
        "Key": KEY,
        "UpdateExpression": "ADD decisions :counted SET expires_at = :expires_at",
        "ExpressionAttributeValues": {
            ":counted": {"N": "1"},
            ":expires_at": {"N": str(round(NOW_S) + KEPT_FOR_S)},
        },
    }
    evidence = ShadowEvidence()
    evidence.answered("req_1", IN_SHADOW)
    with Stubber(client) as stubber:
        stubber.add_response("update_item", {}, expected)
        EvidenceWriter(evidence, client, FLAG_TABLE, wall_clock=lambda: NOW_S).flush()
        stubber.assert_no_pending_responses()


async def test_a_gateway_counts_answered_requests_and_no_dry_runs(gateway: Gateway, stores: Stores) -> None:
    for name, text in SHADOW.items():
        stores.put_flag(name, text)
    gateway.refresh()
    assert (await gateway.route(dry_run=True)).status == 200
    for _ in range(3):
        assert (await gateway.route()).status == 200
    flags = gateway.application.control.flags
    put_at_ms = flags.value.answers["rollout-stage"].changed_at_ms
    writer_of(flags.evidence, stores).flush()
    assert decisions(stores, {"flag": {"S": f"evidence#rollout-stage#{put_at_ms}"}}) == 3
    assert flags.refresh_now("table")
    assert not [each for each in gateway.application.control.snapshots() if each.complaints], (
        "evidence is no flag, and nothing to complain of"
    )
