"""Audit records cannot be rewritten unnoticed, and none is lost when several write at once."""

from __future__ import annotations

import datetime
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from gateway.control import audit
from gateway.control.audit import (
    Action,
    AuditConflictError,
    AuditRecord,
    AuditTable,
    Author,
    ChainEnd,
    Change,
    How,
    next_record,
    record_hash,
    verify,
)
from gateway.control.stored_items import to_stored
from tests.gateway.stores import aws_session, create_audit_table

VECTORS: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parents[1] / "contracts/audit_records.json").read_text()
)
TABLE = "audit"
SUBJECT = "flag#rollout-stage"
NOW = datetime.datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=datetime.UTC)


def change(after: str = "shadow", before: str = "off") -> Change:
    return Change(SUBJECT, Action.SET, before, after, Author("anna", How.COMMAND, "because"))


@pytest.fixture
def table() -> Iterator[AuditTable]:
    with mock_aws():
        client = aws_session().client("dynamodb")
        create_audit_table(client, TABLE)
        yield AuditTable(client, TABLE, now=lambda: NOW)


def put_raw(**fields: object) -> None:
    aws_session().client("dynamodb").put_item(TableName=TABLE, Item=to_stored(fields))


@pytest.mark.parametrize("name", VECTORS)
def test_the_vectors_that_every_writer_is_held_to(name: str) -> None:
    records = [msgspec.convert(fields, AuditRecord) for fields in VECTORS[name]]
    assert verify(records) == ()
    assert [record.fields() for record in records] == VECTORS[name]
    end = ChainEnd()
    for record in records:
        author = Author(record.who, How(record.how), record.why)
        again = Change(record.subject, Action(record.action), record.before, record.after, author)
        assert next_record(again, end, datetime.datetime.fromisoformat(record.at)) == record
        end = ChainEnd(record.sequence, record.hash)


def test_records_are_read_back_as_they_were_written(table: AuditTable) -> None:
    written = [table.append(change("shadow")), table.append(change("canary", "shadow"))]
    chain = table.chain(SUBJECT)
    assert list(chain.records) == written
    assert chain.problems == ()
    assert [record.sequence for record in written] == [1, 2]
    assert written[0].at == "2026-11-21T12:00:00.123Z"
    assert written[1].previous_hash == written[0].hash
    assert table.chain("flag#other").records == ()


@pytest.mark.parametrize(
    "field", ["at", "who", "how", "action", "from", "to", "why", "previous_hash", "hash"]
)
def test_a_record_that_was_rewritten_breaks_the_chain(table: AuditTable, field: str) -> None:
    first = table.append(change())
    table.append(change("canary", "shadow"))
    put_raw(**{**first.fields(), field: "forged"})
    problems = table.chain(SUBJECT).problems
    assert problems
    assert "record 1" in problems[0] or "record 2" in problems[0]


def test_a_record_rewritten_with_a_fitting_hash_breaks_the_next_one(table: AuditTable) -> None:
    first = table.append(change())
    table.append(change("canary", "shadow"))
    forged = {**first.fields(), "who": "somebody else"}
    put_raw(**{**forged, "hash": record_hash(forged)})
    assert table.chain(SUBJECT).problems == (
        f"record 2 of {SUBJECT} does not continue the record before: `previous_hash` is not its `hash`",
    )


def test_a_record_that_is_gone_is_missed(table: AuditTable) -> None:
    for after in ("shadow", "canary", "active"):
        table.append(change(after))
    for sequence in (1, 2):
        aws_session().client("dynamodb").delete_item(
            TableName=TABLE, Key=to_stored({"subject": SUBJECT, "sequence": sequence})
        )
        assert any("is missing" in problem for problem in table.chain(SUBJECT).problems)


def test_a_row_that_is_no_record_is_named_and_does_not_stop_the_next(table: AuditTable) -> None:
    table.append(change())
    put_raw(subject=SUBJECT, sequence=2, note="slipped in")
    assert table.append(change("canary", "shadow")).sequence == 3
    problems = table.chain(SUBJECT).problems
    assert problems[0].startswith(f"record 2 of {SUBJECT} is none: ")
    record = table.append(change("active", "canary"))
    put_raw(**{**record.fields(), "note": "an attribute more"})
    assert any(problem.startswith("record 4") for problem in table.chain(SUBJECT).problems)


def test_a_record_of_another_subject_is_foreign() -> None:
    one = next_record(change(), ChainEnd(), NOW)
    other = msgspec.structs.replace(change(), subject="route-set")
    two = next_record(other, ChainEnd(one.sequence, one.hash), NOW)
    assert verify([one, two]) == (f"record 2 of route-set is not of {SUBJECT}",)


def test_of_two_who_read_the_same_end_one_gets_through(table: AuditTable) -> None:
    end = table.end(SUBJECT)
    table.append_after(end, change("shadow"))
    with pytest.raises(AuditConflictError, match="is being changed by somebody else"):
        table.append_after(end, change("canary"))
    assert [record.after for record in table.chain(SUBJECT).records] == ["shadow"]


def test_a_record_that_was_overtaken_is_appended_after_the_one_that_was_faster(
    table: AuditTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = table.end
    overtaken: list[AuditRecord] = []

    def end(subject: str) -> ChainEnd:
        found = read(subject)
        if len(overtaken) < audit.APPEND_ATTEMPTS - 1:
            overtaken.append(table.append_after(found, change("faster")))
        return found

    monkeypatch.setattr(table, "end", end)
    assert table.append(change("slow")).sequence == audit.APPEND_ATTEMPTS
    assert table.chain(SUBJECT).problems == ()


def test_a_record_that_is_overtaken_every_time_is_not_written(
    table: AuditTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.append(change())
    monkeypatch.setattr(table, "end", lambda _subject: ChainEnd())
    with pytest.raises(AuditConflictError):
        table.append(change("late"))
    assert len(table.chain(SUBJECT).records) == 1


def test_a_record_is_logged_when_it_is_written_and_only_then(
    table: AuditTable, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        record = table.append(change())
        with pytest.raises(AuditConflictError):
            table.append_after(ChainEnd(), change("late"))
    (line,) = [vars(each) for each in caplog.records if getattr(each, "event", None) == "audit"]
    assert {name: line[name] for name in record.fields()} == record.fields()


def test_the_log_line_is_written_whatever_the_log_level(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("gateway").setLevel(logging.ERROR)
    try:
        audit.log_record(next_record(change(), ChainEnd(), NOW))
    finally:
        logging.getLogger("gateway").setLevel(logging.NOTSET)
    assert any(getattr(each, "event", None) == "audit" for each in caplog.records)


def test_a_long_chain_is_read_whole(table: AuditTable) -> None:
    end = ChainEnd()
    for _ in range(40):
        wordy = Author("anna", How.COMMAND, "w" * 500)
        record = next_record(
            Change(SUBJECT, Action.SET, "a" * 30_000, "b" * 30_000, wordy), end, NOW
        )  # 40 × 60 kB: more than the megabyte of one answer
        put_raw(**record.fields())
        end = ChainEnd(record.sequence, record.hash)
    chain = table.chain(SUBJECT)
    assert len(chain.records) == 40
    assert chain.problems == ()


@pytest.mark.parametrize(
    ("who", "why"), [("", "x"), (" ", "x"), ("anna", ""), ("anna", " "), ("a", "x" * 501)]
)
def test_a_change_without_author_or_reason_is_refused(who: str, why: str) -> None:
    with pytest.raises(ValueError, match=r"`who`|`why`"):
        Author(who, How.COMMAND, why)


def test_a_table_that_is_gone_is_no_empty_chain(table: AuditTable) -> None:
    aws_session().client("dynamodb").delete_table(TableName=TABLE)
    for ask in (table.chain, table.end):
        with pytest.raises(ClientError, match="ResourceNotFound"):
            ask(SUBJECT)
