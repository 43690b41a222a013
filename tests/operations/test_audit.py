"""The audit from the command line: every record is shown, and a chain that was tampered with is found."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import boto3
import msgspec
import pytest

from gateway.control.audit import AuditRecord, record_hash
from gateway.control.stored_items import from_stored, to_stored
from tests.operations.conftest import AUDIT, Staging

WHY = ("--why", "exercise")
SWITCH = "flag#kill-switch.google"


def switched(staging: Staging) -> None:
    for command in ("kill", "revive", "kill"):
        assert staging.run(command, "staging", "--provider", "google", *WHY).status == 0
    assert staging.run("flag", "staging", "--flag", "rollout-stage", "--value", "shadow", *WHY).status == 0


def test_all_records_are_shown_and_every_chain_holds(staging: Staging) -> None:
    switched(staging)
    shown = staging.run("audit", "staging")
    assert (shown.status, "4 records of 2 subjects: every chain holds" in shown.out) == (0, True)
    assert sum(line.startswith(SWITCH) for line in shown.out.splitlines()) == 3
    one = staging.run("audit", "staging", "--subject", "flag#rollout-stage")
    assert (one.status, "1 records of 1 subjects" in one.out, SWITCH in one.out) == (0, True, False)


def test_an_altered_record_is_found(staging: Staging) -> None:
    switched(staging)
    staging.dynamodb.update_item(
        TableName=AUDIT,
        Key={"subject": {"S": SWITCH}, "sequence": {"N": "2"}},
        UpdateExpression="SET why = :why",
        ExpressionAttributeValues={":why": {"S": "nothing happened"}},
    )
    shown = staging.run("audit", "staging")
    assert shown.status == 1
    assert f"wrong: record 2 of {SWITCH} was altered" in shown.out


def test_a_removed_record_is_found(staging: Staging) -> None:
    switched(staging)
    key = {"subject": {"S": SWITCH}, "sequence": {"N": "2"}}
    staging.dynamodb.delete_item(TableName=AUDIT, Key=key)
    shown = staging.run("audit", "staging")
    assert (shown.status, f"record 3 of {SWITCH} follows 1" in shown.out) == (1, True)


GROUP = "ai-orchestration-staging-gateway-Logs1A2B"


class Log:
    """The gateway's log group; what the command line wrote is written there too, as a replica would."""

    def __init__(self, staging: Staging) -> None:
        self._client = boto3.client("logs", region_name="eu-central-1")
        self._client.create_log_group(logGroupName=GROUP)
        self._client.create_log_stream(logGroupName=GROUP, logStreamName="task")
        self._staging = staging

    def delete(self) -> None:
        self._client.delete_log_group(logGroupName=GROUP)

    def tell(self, sequence: int) -> None:
        record = self._staging.dynamodb.get_item(TableName=AUDIT, Key=key(sequence))["Item"]
        fields = {name: next(iter(value.values())) for name, value in record.items()}
        line = {"event": "audit", **fields, "sequence": sequence}
        self._client.put_log_events(
            logGroupName=GROUP,
            logStreamName="task",
            logEvents=[
                {"timestamp": int(time.time() * 1000), "message": message}
                for message in ("no JSON", json.dumps({"event": "request"}), json.dumps(line))
            ],
        )


@pytest.fixture
def log(staging: Staging) -> Iterator[Log]:
    opened = Log(staging)
    yield opened
    opened.delete()


def key(sequence: int) -> dict[str, Any]:
    return {"subject": {"S": SWITCH}, "sequence": {"N": str(sequence)}}


def forge(staging: Staging, sequence: int, **changes: str) -> None:
    """What one may do who may put: another record in the place of one, with a hash that fits."""
    stored = staging.dynamodb.get_item(TableName=AUDIT, Key=key(sequence))["Item"]
    record = msgspec.convert(from_stored(stored), AuditRecord)
    forged = msgspec.structs.replace(record, **changes)
    forged = msgspec.structs.replace(forged, hash=record_hash(forged.fields()))
    staging.dynamodb.put_item(TableName=AUDIT, Item=to_stored(forged.fields()))


def test_a_newest_record_that_was_replaced_is_found_in_the_logs_alone(staging: Staging, log: Log) -> None:
    switched(staging)
    for sequence in (1, 2, 3):
        log.tell(sequence)
    whole = staging.run("audit", "staging", "--logs")
    assert (whole.status, "no line in the logs contradicts" in whole.out) == (0, True)
    forge(staging, 3, who="somebody else")
    assert staging.run("audit", "staging").status == 0
    shown = staging.run("audit", "staging", "--logs")
    assert shown.status == 1
    assert f"wrong: record 3 of {SWITCH} was replaced" in shown.out


def test_a_newest_record_that_was_removed_is_found_in_the_logs_alone(staging: Staging, log: Log) -> None:
    switched(staging)
    log.tell(3)
    staging.dynamodb.delete_item(TableName=AUDIT, Key=key(3))
    assert staging.run("audit", "staging").status == 0
    shown = staging.run("audit", "staging", "--logs", "--subject", SWITCH)
    assert (shown.status, f"wrong: record 3 of {SWITCH} is gone" in shown.out) == (1, True)
    other = staging.run("audit", "staging", "--logs", "--subject", "flag#rollout-stage")
    assert other.status == 0


def test_a_record_that_no_line_tells_of_is_named_but_for_those_of_commands(staging: Staging) -> None:
    switched(staging)
    forge(staging, 3, how="admin-api")
    shown = staging.run("audit", "staging", "--logs")
    assert shown.status == 0
    named = [line for line in shown.out.splitlines() if line.startswith("no line in the logs")]
    assert len(named) == 1
    assert f"record 3 of {SWITCH}" in named[0]
