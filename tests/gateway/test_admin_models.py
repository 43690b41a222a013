"""Administrators list, propose and move versions of models; what is wrong changes nothing."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.control.audit import AuditTable, model_subject
from gateway.control.registry import Lifecycle, RegistryItem
from gateway.control.registry_table import RegistryTable
from tests.gateway.running import HELLO, Gateway, running_gateway
from tests.gateway.stores import (
    AUDIT_TABLE,
    ROUTE_SET,
    TABLE,
    Stores,
    declared_models,
)
from tests.gateway.upstreams import Upstreams

HAIKU = next(item for item in declared_models() if item.model == "claude-haiku-4-5")
DRAFT = msgspec.structs.replace(HAIKU, version="2026-12-01", lifecycle=Lifecycle.DRAFT)
WHY = "the vendor's new price list"


def proposal(item: RegistryItem = DRAFT, **changes: Any) -> dict[str, object]:  # noqa: ANN401 - any member, also a wrong one
    return {"item": {**msgspec.to_builtins(item), **changes}, "why": WHY}


def step(to: str, item: RegistryItem = DRAFT, **changes: object) -> dict[str, object]:
    return {"key": item.key, "version": item.version, "to": to, "why": WHY, **changes}


def registered(stores: Stores) -> object:
    return RegistryTable(stores.dynamodb, TABLE).load(None).value


def records(stores: Stores, item: RegistryItem = DRAFT) -> list[str]:
    chain = AuditTable(stores.dynamodb, AUDIT_TABLE).chain(model_subject(item.key, item.version))
    assert chain.problems == ()
    return [f"{each.action} {each.before}→{each.after}" for each in chain.records]


async def listed(gateway: Gateway, item: RegistryItem) -> dict[str, Any]:
    reply = await gateway.admin("models")
    assert reply.status == 200
    models: Any = reply.json["models"]
    (found,) = [each for each in models if (each["key"], each["version"]) == (item.key, item.version)]
    told: dict[str, Any] = found
    return told


async def test_a_proposed_version_is_known_at_once_here_and_elsewhere_at_the_next_refresh(
    gateway: Gateway, stores: Stores, upstreams: Upstreams
) -> None:
    async with running_gateway(stores, upstreams) as other:
        reply = await gateway.admin("models", proposal())
        assert reply.status == 201
        assert reply.json == {"key": DRAFT.key, "version": DRAFT.version, "created": True}
        assert DRAFT in (gateway.application.control.registry.value or {}).values()
        again = await gateway.admin("models", proposal())
        assert (again.status, again.json["created"]) == (200, False)
        other.refresh()
        assert DRAFT in (other.application.control.registry.value or {}).values()
    assert records(stores) == ["propose →draft"]


async def test_a_version_goes_through_its_life_and_each_step_is_recorded(
    gateway: Gateway, stores: Stores
) -> None:
    await gateway.admin("models", proposal())
    for to, action in (
        ("canary", "promote"),
        ("active", "promote"),
        ("deprecated", "deprecate"),
        ("active", "reactivate"),
        ("retired", "retire"),
    ):
        before = (await listed(gateway, DRAFT))["lifecycle"]
        reply = await gateway.admin("models/lifecycle", step(to))
        assert reply.status == 200, reply.body
        assert reply.json == {
            "key": DRAFT.key, "version": DRAFT.version, "from": before, "to": to, "action": action,
        }  # fmt: skip
        assert (await listed(gateway, DRAFT))["lifecycle"] == to
        registry = gateway.application.control.registry.value
        assert registry is not None
        assert registry[DRAFT.key, DRAFT.version].lifecycle == to
    assert len(records(stores)) == 6


async def test_the_record_says_who_with_which_key_and_why(
    gateway: Gateway, stores: Stores, caplog: pytest.LogCaptureFixture
) -> None:
    await gateway.admin("models", proposal(), operator="Jörg Müller")
    (record,) = (
        AuditTable(stores.dynamodb, AUDIT_TABLE).chain(model_subject(DRAFT.key, DRAFT.version)).records
    )
    assert record.who == "Jörg Müller (admin key ff823db4)"
    assert (record.how, record.why) == ("admin-api", WHY)
    (line,) = [vars(each) for each in caplog.records if getattr(each, "event", None) == "audit"]
    assert line["hash"] == record.hash


async def test_a_refused_move_answers_409_and_changes_nothing(gateway: Gateway, stores: Stores) -> None:
    await gateway.admin("models", proposal())
    before = registered(stores)
    reply = await gateway.admin("models/lifecycle", step("active"))
    assert reply.status == 409
    assert reply.error["code"] == "transition_refused"
    assert "it may become canary, retired" in str(reply.error["message"])
    assert reply.headers["x-should-retry"] == "false"
    assert registered(stores) == before
    assert len(records(stores)) == 1


async def test_nothing_is_retired_while_nobody_knows_what_is_in_force(
    gateway: Gateway, stores: Stores
) -> None:
    await gateway.admin("models", proposal())
    stores.put_route_set("{")
    reply = await gateway.admin("models/lifecycle", step("retired"))
    assert (reply.status, reply.error["code"]) == (409, "transition_refused")
    stores.ssm.delete_parameter(Name=ROUTE_SET)
    reply = await gateway.admin("models/lifecycle", step("retired"))
    assert (reply.status, reply.error["code"]) == (503, "store_unavailable")
    assert (await listed(gateway, DRAFT))["lifecycle"] == "draft"
    assert (await gateway.admin("models/lifecycle", step("canary"))).status == 200


@pytest.mark.parametrize("table", [TABLE, AUDIT_TABLE])
async def test_a_table_that_cannot_be_written_is_said_so_and_nothing_changes(
    gateway: Gateway, stores: Stores, table: str
) -> None:
    await gateway.admin("models", proposal())
    stores.dynamodb.delete_table(TableName=table)
    for path, body in (
        ("models", proposal(version="2026-12-02")),
        ("models/lifecycle", step("canary")),
    ):
        reply = await gateway.admin(path, body)
        assert reply.status == 503
        assert reply.error["code"] == "store_unavailable"
        assert table not in str(reply.error)
    if table == AUDIT_TABLE:
        assert (await listed(gateway, DRAFT))["lifecycle"] == "draft"


async def test_what_was_seen_stands_beside_what_is_declared(gateway: Gateway, stores: Stores) -> None:
    before = registered(stores)
    assert (await listed(gateway, HAIKU))["observed"] is None
    for _ in range(3):
        reply = await gateway.post("/v1/chat/completions", {**HELLO, "model": HAIKU.model})
        assert reply.status == 200
    told = await listed(gateway, HAIKU)
    assert told["observed"]["calls"] == 3
    assert told["observed"]["error_rate"] == 0
    assert 0 < told["observed"]["median_ms"] <= told["observed"]["p95_ms"]
    assert told["declared"] == msgspec.to_builtins(HAIKU)
    assert registered(stores) == before


async def test_an_unreadable_item_is_listed_as_a_problem(gateway: Gateway, stores: Stores) -> None:
    stores.dynamodb.put_item(
        TableName=TABLE, Item={"provider#model": {"S": "bedrock#broken"}, "version": {"S": "2026-12-01"}}
    )
    reply = await gateway.admin("models")
    assert reply.status == 200
    assert "bedrock#broken version 2026-12-01" in str(reply.json["problems"])
