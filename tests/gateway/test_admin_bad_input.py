"""What is wrong with an administrator's request is told by field, in one log line, and changes nothing."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
import pytest

from gateway.control.audit import AuditTable, model_subject
from gateway.control.registry import Lifecycle, RegistryItem
from gateway.control.registry_table import RegistryTable
from tests.gateway.running import OPERATOR, Gateway
from tests.gateway.stores import ADMIN_KEY, AUDIT_TABLE, CLIENT_KEY, TABLE, Stores, declared_models

pytestmark = pytest.mark.asyncio(loop_scope="module")

HAIKU = next(item for item in declared_models() if item.model == "claude-haiku-4-5")
DRAFT = msgspec.structs.replace(HAIKU, version="2026-12-01", lifecycle=Lifecycle.DRAFT)
WHY = "the vendor's new price list"


@pytest.fixture
def gateway(shared_gateway: Gateway) -> Gateway:
    return shared_gateway


@pytest.fixture(scope="module")
def stores(shared_gateway: Gateway) -> Stores:  # noqa: ARG001 - whose stores these are
    return Stores()


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


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"lifecycle": "immortal"}, "item.lifecycle"),
        ({"lifecycle": "active"}, "item.lifecycle"),
        ({"context_window_tokens": "many"}, "item.context_window_tokens"),
        ({"residency": {"eu_processing": True}}, "item.residency.eu_licence"),
        ({"maximum_output_tokens": 10**7}, "item.maximum_output_tokens"),
        ({"colour": "blue"}, "item.colour"),
        ({"version": "2026-02-30"}, "item.version"),
    ],
)
async def test_an_invalid_item_is_refused_by_field_and_nothing_is_changed(
    gateway: Gateway, stores: Stores, changes: dict[str, Any], field: str
) -> None:
    before = registered(stores)
    reply = await gateway.admin("models", proposal(**changes))
    assert reply.status == 400
    assert reply.error["param"] == field
    assert registered(stores) == before
    assert records(stores) == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"key": "bedrock#x", "version": "2026-11-01", "to": "canary"}, "why"),
        (step("canary", why=""), "why"),
        (step("canary", why="  "), "why"),
        (step("canary", why="x" * 501), "why"),
        (step("canary", why=7), "why"),
        (step("canary", why=f"my key is {ADMIN_KEY}"), "why"),
        (step("immortal"), "to"),
        (step("canary", key="claude"), "key"),
        (step("canary", version="latest"), "version"),
        (step("canary", force=True), "force"),
        (b"{", None),
    ],
)
async def test_a_move_that_is_no_move_is_refused_by_field_in_one_log_line(
    gateway: Gateway,
    stores: Stores,
    body: object,
    field: str | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = registered(stores)
    with caplog.at_level(logging.INFO, logger="gateway"):
        reply = await gateway.admin("models/lifecycle", body)
    assert reply.status == 400
    assert reply.error["param"] == field
    assert registered(stores) == before
    assert ADMIN_KEY not in reply.body.decode()
    lines = [vars(line) for line in caplog.records if line.name.startswith("gateway.surfaces")]
    assert [line["problem"] for line in lines] == [reply.error["message"]]
    assert ADMIN_KEY not in str(lines)


@pytest.mark.parametrize("operator", [None, "", " ", "x" * 101, "a\tb", f"anna {ADMIN_KEY}"])
async def test_a_change_without_a_proper_name_to_it_is_refused(
    gateway: Gateway, stores: Stores, operator: str | None
) -> None:
    for path, body in (("models", proposal()), ("models/lifecycle", step("canary"))):
        reply = await gateway.admin(path, body, operator=operator)
        assert reply.status == 400
        assert reply.error["param"] == "x-operator"
    assert records(stores) == []


async def test_a_version_in_force_is_not_retired(gateway: Gateway, stores: Stores) -> None:
    before = registered(stores)
    reply = await gateway.admin("models/lifecycle", step("retired", HAIKU))
    assert reply.status == 409
    assert reply.error["code"] == "transition_refused"
    assert "default@2026-11-01, names it" in str(reply.error["message"])
    assert registered(stores) == before


async def test_a_version_that_nobody_registered_is_not_found(gateway: Gateway) -> None:
    reply = await gateway.admin("models/lifecycle", step("canary"))
    assert reply.status == 404
    assert reply.error["code"] == "model_not_found"


async def test_a_version_that_exists_cannot_get_other_content(gateway: Gateway, stores: Stores) -> None:
    before = registered(stores)
    reply = await gateway.admin("models", proposal(HAIKU, lifecycle="draft", expected_latency_ms=1))
    assert reply.status == 409
    assert reply.error["code"] == "version_conflict"
    assert registered(stores) == before


@pytest.mark.parametrize(
    ("method", "path"),
    [
        (method, f"/v1/admin/{path}")
        for method, path in (
            ("GET", "models"), ("POST", "models"), ("POST", "models/lifecycle"),
            ("GET", "route-sets"), ("POST", "route-sets"), ("POST", "route-sets/activate"),
            ("POST", "route-sets/rollback"), ("GET", "flags"), ("POST", "flags"), ("POST", "kill"),
            ("POST", "revive"), ("GET", "audit?subject=route-set"),
        )
    ],
)  # fmt: skip
async def test_every_administrative_call_needs_an_admin_key(gateway: Gateway, method: str, path: str) -> None:
    for key, status in ((CLIENT_KEY, 403), ("wrong", 401), (None, 401)):
        reply = await gateway.call(method, path, {}, key=key, headers={"x-operator": OPERATOR})
        assert reply.status == status
