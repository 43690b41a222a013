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
from tests.gateway.stores import (
    ADMIN_KEY,
    AUDIT_TABLE,
    CLIENT_KEY,
    FLAG_TABLE,
    TABLE,
    Stores,
    declared_models,
    declared_route_set,
)

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


def everything(stores: Stores) -> object:
    """Every parameter and every item there is."""
    parameters = stores.ssm.get_parameters_by_path(Path="/", Recursive=True, MaxResults=10)["Parameters"]
    tables = [stores.dynamodb.scan(TableName=name)["Items"] for name in (TABLE, AUDIT_TABLE, FLAG_TABLE)]
    return [(each["Name"], each["Value"], each["Version"]) for each in parameters], tables


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


BAD_CHANGES = [
    ("route-sets", {"why": WHY}, "route_set"),
    ("route-sets", {"route_set": declared_route_set()}, "why"),
    ("route-sets", {"route_set": declared_route_set() | {"colour": 1}, "why": WHY}, "route_set.colour"),
    ("route-sets", {"route_set": declared_route_set() | {"models": []}, "why": WHY}, "route_set.models"),
    (
        "route-sets",
        {"route_set": declared_route_set() | {"default_domain": "x"}, "why": WHY},
        "route_set.default_domain",
    ),
    ("route-sets/activate", {"name": "../flags", "version": "2026-11-01", "why": WHY}, "name"),
    ("route-sets/activate", {"name": "default", "version": "1", "why": WHY}, "version"),
    ("route-sets/activate", {"name": "default", "why": WHY}, "version"),
    ("route-sets/rollback", {}, "why"),
    ("route-sets/rollback", {"why": WHY, "to": "default"}, "to"),
    ("flags", {"flag": "no-such-flag", "value": "on", "why": WHY}, "value"),
    ("flags", {"flag": "rollout.canary-share", "value": "1", "why": WHY}, "value"),
    ("flags", {"flag": "rollout.canary-share", "value": 6, "why": WHY}, "value"),
    ("flags", {"flag": "rollout.canary-share", "value": None, "why": WHY}, "value"),
    ("flags", {"flag": "kill-switch.all", "value": True, "why": WHY}, "value"),
    ("flags", {"flag": "rollout-stage", "value": "lunar", "why": WHY}, "value"),
    ("flags", {"flag": ["rollout-stage"], "value": "off", "why": WHY}, "flag"),
    ("kill", {"provider": "mars", "why": WHY}, "provider"),
    ("kill", {"provider": "all"}, "why"),
    ("revive", {"provider": "all", "why": WHY, "force": True}, "force"),
]


@pytest.mark.parametrize(("path", "body", "field"), BAD_CHANGES)
async def test_a_wrong_change_is_refused_by_field_in_one_log_line_and_changes_nothing(
    gateway: Gateway,
    stores: Stores,
    path: str,
    body: dict[str, object],
    field: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = everything(stores)
    with caplog.at_level(logging.INFO, logger="gateway"):
        reply = await gateway.admin(path, body)
    assert reply.status == 400, reply.body
    assert reply.error["param"] == field
    assert everything(stores) == before
    lines = [vars(line) for line in caplog.records if line.name.startswith("gateway.surfaces")]
    assert [line["problem"] for line in lines] == [reply.error["message"]]


async def test_what_is_not_in_the_library_is_not_found(gateway: Gateway, stores: Stores) -> None:
    before = everything(stores)
    body = {"name": "default", "version": "2099-01-01", "why": WHY}
    reply = await gateway.admin("route-sets/activate", body)
    assert (reply.status, reply.error["code"]) == (404, "route_set_not_found")
    assert everything(stores) == before


@pytest.mark.parametrize(
    "query",
    ["", "?", "?subject=", "?subject=a&subject=b", "?subject=a&x=1", "?other=a", "?subject", "?subject=%ff",
     "?subject=" + "x" * 257, "?" + "&".join("a=b" for _ in range(20))],
)  # fmt: skip
async def test_a_query_that_names_no_one_subject_is_refused(gateway: Gateway, query: str) -> None:
    reply = await gateway.admin(f"audit{query}")
    assert reply.status == 400
    assert reply.error["param"] == "subject"
