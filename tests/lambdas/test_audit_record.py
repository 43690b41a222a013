"""Audit records of the functions: chained as every writer chains them, none lost, none written twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from lambdas.audit_record import (
    ATTEMPTS,
    AuditTrail,
    Change,
    OvertakenError,
    Table,
    hash_of,
    record_after,
)
from tests.lambdas.flag_stores import AUDIT_TABLE, FLAG_TABLE, FlagStores, flag_stores, lines

VECTORS: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parents[1] / "contracts/audit_records.json").read_text()
)
FLAG = "rollout-stage"
NOW = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)


def change(after: str = "shadow", why: str = "because") -> Change:
    return Change(
        subject=f"flag#{FLAG}",
        who="arn:aws:iam::111122223333:user/anna",
        how="replication",
        action="in-force",
        before="off",
        after=after,
        why=why,
    )


def table(stores: FlagStores) -> Table:
    """boto3's client, whose types say more than the functions ask for."""
    return cast("Table", stores.dynamodb)


@pytest.fixture
def stores() -> Iterator[FlagStores]:
    with flag_stores() as opened:
        yield opened


@pytest.fixture
def trail(stores: FlagStores) -> AuditTrail:
    return AuditTrail(table(stores), AUDIT_TABLE, now=lambda: NOW)


class Overtaken:
    """A client before which somebody else writes a record, as often as told."""

    def __init__(self, client: Table, other: Callable[[], object], times: int) -> None:
        self._client, self._other, self._times = client, other, times

    def query(self, **arguments: object) -> Mapping[str, object]:
        answer = self._client.query(**arguments)
        if self._times > 0:
            self._times -= 1
            self._other()
        return answer

    def put_item(self, **arguments: object) -> object:
        return self._client.put_item(**arguments)

    def transact_write_items(self, **arguments: object) -> object:
        return self._client.transact_write_items(**arguments)


@pytest.mark.parametrize("name", VECTORS)
def test_the_vectors_that_every_writer_is_held_to(name: str) -> None:
    newest = None
    for record in VECTORS[name]:
        again = Change(
            subject=record["subject"],
            who=record["who"],
            how=record["how"],
            action=record["action"],
            before=record["from"],
            after=record["to"],
            why=record["why"],
        )
        newest = record_after(newest, again, datetime.fromisoformat(record["at"]))
        assert newest == record


def test_records_of_a_subject_are_numbered_and_chained(trail: AuditTrail, stores: FlagStores) -> None:
    for after in ("shadow", "canary"):
        trail.append(change(after))
    first, second = stores.audit(FLAG)
    assert (first["sequence"], second["sequence"]) == ("1", "2")
    assert (first["previous_hash"], second["previous_hash"]) == ("", first["hash"])
    for record in (first, second):
        assert hash_of({**record, "sequence": int(record["sequence"])}) == record["hash"]
    assert first["at"] == "2026-11-21T12:00:00.123Z"


def test_every_record_is_logged_as_it_is_stored(
    trail: AuditTrail, stores: FlagStores, capsys: pytest.CaptureFixture[str]
) -> None:
    trail.append(change(why="weil es nötig ist"))
    (line,) = lines(capsys.readouterr().out)
    (stored,) = stores.audit(FLAG)
    assert line == {"event": "audit", **stored, "sequence": 1}


def test_what_is_recorded_already_is_not_recorded_again(
    trail: AuditTrail, stores: FlagStores, capsys: pytest.CaptureFixture[str]
) -> None:
    trail.append(change())
    capsys.readouterr()
    trail.append(change())
    assert len(stores.audit(FLAG)) == 1
    assert capsys.readouterr().out == ""
    trail.append(change(why="another reason"))
    trail.append(change())
    assert len(stores.audit(FLAG)) == 3


def test_a_record_that_is_overtaken_comes_after_the_other(trail: AuditTrail, stores: FlagStores) -> None:
    slow = Overtaken(table(stores), lambda: trail.append(change("canary")), times=1)
    AuditTrail(slow, AUDIT_TABLE).append(change("shadow"))
    assert [after for _action, _before, after in stores.actions(FLAG)] == ["canary", "shadow"]
    first, second = stores.audit(FLAG)
    assert second["previous_hash"] == first["hash"]


def test_who_is_always_overtaken_is_told(trail: AuditTrail, stores: FlagStores) -> None:
    numbers = iter(range(100))
    slow = Overtaken(table(stores), lambda: trail.append(change(f"{next(numbers)}")), times=ATTEMPTS)
    with pytest.raises(OvertakenError, match=f"flag#{FLAG}"):
        AuditTrail(slow, AUDIT_TABLE).append(change("shadow"))


def test_a_long_reason_is_cut(trail: AuditTrail, stores: FlagStores) -> None:
    trail.append(change(why="x" * 600))
    assert stores.audit(FLAG)[0]["why"] == "x" * 500


# ---- together with another item ----


def row(value: str, condition: str = "attribute_not_exists(flag)") -> dict[str, object]:
    item = {"flag": {"S": FLAG}, "value": {"S": value}}
    return {"TableName": FLAG_TABLE, "Item": item, "ConditionExpression": condition}


def test_an_item_and_its_record_are_written_together(trail: AuditTrail, stores: FlagStores) -> None:
    assert trail.append_with(change("shadow"), row("shadow"))
    assert stores.row(FLAG) == "shadow"
    assert stores.actions(FLAG) == [("in-force", "off", "shadow")]


def test_without_the_item_there_is_no_record(
    trail: AuditTrail, stores: FlagStores, capsys: pytest.CaptureFixture[str]
) -> None:
    stores.put_row(FLAG, "canary", 1)
    assert not trail.append_with(change("shadow"), row("shadow"))
    assert stores.row(FLAG) == "canary"
    assert stores.actions(FLAG) == []
    assert capsys.readouterr().out == ""


def test_an_item_waits_for_the_turn_of_its_record(trail: AuditTrail, stores: FlagStores) -> None:
    slow = Overtaken(table(stores), lambda: trail.append(change("canary")), times=1)
    assert AuditTrail(slow, AUDIT_TABLE).append_with(change("shadow"), row("shadow"))
    assert stores.row(FLAG) == "shadow"
    assert [one["sequence"] for one in stores.audit(FLAG)] == ["1", "2"]


def test_another_failure_is_not_taken_for_a_condition(stores: FlagStores) -> None:
    with pytest.raises(ClientError, match="ResourceNotFound"):
        AuditTrail(table(stores), "elsewhere").append(change())
    with pytest.raises(ClientError):
        AuditTrail(table(stores), AUDIT_TABLE).append_with(
            change(), {**row("shadow"), "TableName": "elsewhere"}
        )
