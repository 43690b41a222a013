"""Administrators read who changed what, and are told where records do not hold."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from gateway.control.audit import ROUTE_SET_SUBJECT, Action, AuditTable, Author, Change, How
from gateway.control.stored_items import to_stored
from tests.gateway.running import Gateway
from tests.gateway.stores import AUDIT_TABLE, Stores


async def test_records_are_told_newest_first_and_a_forged_one_is_named(
    gateway: Gateway, stores: Stores
) -> None:
    for reason in ("first", "second", "third"):
        body = {"provider": "llama", "why": reason}
        assert (await gateway.admin("kill", body)).status == 200
    path = f"audit?subject={quote('flag#kill-switch.llama', safe='')}"
    reply = await gateway.admin(path)
    assert reply.status == 200
    told: Any = reply.json
    assert (told["subject"], told["holds"], told["problems"]) == ("flag#kill-switch.llama", True, [])
    assert [record["why"] for record in told["records"]] == ["third", "second", "first"]
    assert [record["from"] for record in told["records"]] == ["on", "on", ""]
    forged = {**told["records"][1], "who": "nobody"}
    stores.dynamodb.put_item(TableName=AUDIT_TABLE, Item=to_stored(forged))
    reply = await gateway.admin(path)
    told = reply.json
    assert reply.status == 200
    assert not told["holds"]
    assert told["problems"] == [
        "record 2 of flag#kill-switch.llama was altered: its `hash` is not that of its content"
    ]


async def test_a_subject_that_was_never_changed_has_no_records(gateway: Gateway) -> None:
    reply = await gateway.admin("audit?subject=route-set")
    assert (reply.status, reply.json["records"], reply.json["holds"]) == (200, [], True)


async def test_records_of_others_are_not_told(gateway: Gateway, stores: Stores) -> None:
    audit = AuditTable(stores.dynamodb, AUDIT_TABLE)
    author = Author("anna", How.COMMAND, "because")
    audit.append(Change(ROUTE_SET_SUBJECT, Action.ACTIVATE, "a", "b", author))
    audit.append(Change(f"{ROUTE_SET_SUBJECT}s", Action.ACTIVATE, "c", "d", author))
    records: Any = (await gateway.admin("audit?subject=route-set")).json["records"]
    assert [record["to"] for record in records] == ["b"]


@pytest.mark.parametrize("table_is_there", [True, False])
async def test_records_that_cannot_be_read_are_no_empty_chain(
    gateway: Gateway, stores: Stores, table_is_there: bool
) -> None:
    if not table_is_there:
        stores.dynamodb.delete_table(TableName=AUDIT_TABLE)
    reply = await gateway.admin("audit?subject=route-set")
    assert reply.status == (200 if table_is_there else 503)
