"""Administrators propose route sets, put them into force and go back; replicas follow."""

from __future__ import annotations

import json
from typing import Any

from gateway.control.audit import ROUTE_SET_SUBJECT, AuditTable
from tests.gateway.running import Gateway, running_gateway
from tests.gateway.stores import (
    AUDIT_TABLE,
    ROUTE_SET,
    ROUTE_SET_LIBRARY,
    Stores,
    declared_route_set,
)
from tests.gateway.upstreams import Upstreams

WHY = "the models of this month"


def proposed(version: str = "2026-12-01", **changes: object) -> dict[str, object]:
    return {"route_set": {**declared_route_set(), "version": version, **changes}, "why": WHY}


def named(version: str = "2026-12-01") -> dict[str, object]:
    return {"name": "default", "version": version, "why": WHY}


def in_force(stores: Stores) -> str:
    return str(json.loads(stores.ssm.get_parameter(Name=ROUTE_SET)["Parameter"]["Value"])["version"])


def records(stores: Stores) -> list[str]:
    chain = AuditTable(stores.dynamodb, AUDIT_TABLE).chain(ROUTE_SET_SUBJECT)
    assert chain.problems == ()
    return [f"{each.action} {each.before}→{each.after}" for each in chain.records]


async def policy(gateway: Gateway) -> str:
    return (await gateway.route()).headers["x-route-policy"]


async def test_from_proposal_to_activation_to_rollback(
    gateway: Gateway, stores: Stores, upstreams: Upstreams
) -> None:
    async with running_gateway(stores, upstreams) as other:
        reply = await gateway.admin("route-sets", proposed())
        assert reply.status == 201
        assert reply.json == {"name": "default", "version": "2026-12-01", "created": True, "problems": []}
        assert (await gateway.admin("route-sets", proposed())).status == 200
        assert await policy(gateway) == "default@2026-11-01"
        reply = await gateway.admin("route-sets/activate", named())
        assert reply.status == 200, reply.body
        assert reply.json == {
            "from": "default@2026-11-01", "to": "default@2026-12-01", "parameter_version": 2, "warning": None,
        }  # fmt: skip
        assert await policy(gateway) == "default@2026-12-01"
        assert await policy(other) == "default@2026-11-01"
        other.refresh()
        assert await policy(other) == "default@2026-12-01"
        assert (await other.admin("route-sets/rollback", {"why": WHY})).json["to"] == "default@2026-11-01"
        assert await policy(other) == "default@2026-11-01"
    assert records(stores) == [
        "propose →default@2026-12-01",
        "activate default@2026-11-01→default@2026-12-01",
        "rollback default@2026-12-01→default@2026-11-01",
    ]


async def test_all_there_is_of_route_sets_is_told(gateway: Gateway) -> None:
    await gateway.admin("route-sets", proposed())
    await gateway.admin("route-sets/activate", named())
    await gateway.admin("route-sets", proposed("2026-12-02"))
    reply = await gateway.admin("route-sets")
    assert reply.status == 200
    told: Any = reply.json
    assert told["in_force"]["policy_version"] == told["obeyed"] == "default@2026-12-01"
    assert json.loads(told["in_force"]["text"])["version"] == "2026-12-01"
    assert [each["policy_version"] for each in told["history"]] == [
        "default@2026-12-01",
        "default@2026-11-01",
    ]
    assert [each["version"] for each in told["library"]] == ["2026-12-01", "2026-12-02"]


async def test_a_route_set_that_names_nothing_is_proposed_with_a_warning_and_not_activated(
    gateway: Gateway, stores: Stores
) -> None:
    models = [{"key": "bedrock#nobody", "version": "2026-11-01"}]
    reply = await gateway.admin("route-sets", proposed(models=models))
    assert reply.status == 201
    problem = "models[0]: bedrock#nobody version 2026-11-01 is not registered; register it, or name another"
    assert reply.json["problems"] == [problem]
    reply = await gateway.admin("route-sets/activate", named())
    assert (reply.status, reply.error["code"]) == (409, "transition_refused")
    assert reply.error["message"] == f"{problem}."
    assert in_force(stores) == "2026-11-01"
    assert records(stores) == ["propose →default@2026-12-01"]


async def test_a_proposed_version_cannot_get_other_content(gateway: Gateway, stores: Stores) -> None:
    await gateway.admin("route-sets", proposed())
    models = declared_route_set()["models"]
    assert isinstance(models, list)
    reply = await gateway.admin("route-sets", proposed(models=models[:1]))
    assert (reply.status, reply.error["code"]) == (409, "version_conflict")
    stored = stores.ssm.get_parameter(Name=f"{ROUTE_SET_LIBRARY}/default/2026-12-01")["Parameter"]
    assert (stored["Version"], len(json.loads(stored["Value"])["models"])) == (1, len(models))


async def test_two_activations_at_once_are_told_so(gateway: Gateway, stores: Stores) -> None:
    await gateway.admin("route-sets", proposed())
    await gateway.admin("route-sets", proposed("2026-12-02"))
    surface: Any = gateway.application.http._routes["/v1/admin/route-sets/activate"]["POST"].handler
    audit = surface.__self__._in_force._audit
    append_after = audit.append_after

    def slow(end: Any, change: Any) -> Any:  # noqa: ANN401 - passed on
        record = append_after(end, change)
        stores.put_route_set(json.dumps({**declared_route_set(), "version": "2026-12-31"}))
        return record

    audit.append_after = slow
    reply = await gateway.admin("route-sets/activate", named("2026-12-02"))
    assert reply.status == 200
    assert "1 other change of the route set came in between" in str(reply.json["warning"])
    assert in_force(stores) == "2026-12-02"


async def test_stores_that_are_down_change_nothing(gateway: Gateway, stores: Stores) -> None:
    await gateway.admin("route-sets", proposed())
    stores.dynamodb.delete_table(TableName=AUDIT_TABLE)
    for path, body in (
        ("route-sets", proposed("2026-12-02")),
        ("route-sets/activate", named()),
        ("route-sets/rollback", {"why": WHY}),
    ):
        reply = await gateway.admin(path, body)
        assert (reply.status, reply.error["code"]) == (503, "store_unavailable")
    assert in_force(stores) == "2026-11-01"
    stores.ssm.delete_parameter(Name=ROUTE_SET)
    reply = await gateway.admin("route-sets")
    assert (reply.status, reply.error["code"]) == (503, "store_unavailable")
    assert await policy(gateway) == "default@2026-11-01"
