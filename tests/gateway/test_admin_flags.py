"""Administrators set flags and stop providers; this replica obeys before it answers."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from gateway.control.audit import AuditTable, flag_subject
from gateway.control.flag_declarations import DECLARED
from tests.gateway.running import HELLO, Gateway, running_gateway
from tests.gateway.stores import AUDIT_TABLE, FLAG_TABLE, FLAGS, Stores
from tests.gateway.upstreams import Upstreams

WHY = "errors everywhere"
GEMINI = {**HELLO, "model": "gemini-2.5-flash"}
CHAT = "/v1/chat/completions"


def records(stores: Stores, name: str) -> list[str]:
    chain = AuditTable(stores.dynamodb, AUDIT_TABLE).chain(flag_subject(name))
    assert chain.problems == ()
    return [f"{each.action} {each.before}→{each.after}" for each in chain.records]


def parameter(stores: Stores, name: str) -> str:
    return str(stores.ssm.get_parameter(Name=f"{FLAGS}/{name}")["Parameter"]["Value"])


async def told(gateway: Gateway, name: str) -> dict[str, Any]:
    flags: Any = (await gateway.admin("flags")).json["flags"]
    (found,) = [each for each in flags if each["name"] == name]
    flag: dict[str, Any] = found
    return flag


async def test_a_kill_is_obeyed_here_before_the_answer_and_elsewhere_at_the_next_refresh(
    gateway: Gateway, stores: Stores, upstreams: Upstreams
) -> None:
    async with running_gateway(stores, upstreams) as other:
        assert (await gateway.post(CHAT, GEMINI)).status == 200
        reply = await gateway.admin("kill", {"provider": "google", "why": WHY})
        assert reply.status == 200, reply.body
        assert reply.json["flag"] == "kill-switch.google"
        assert (reply.json["to"], reply.json["obeyed"]) == ("on", "on")
        assert (reply.json["took"], reply.json["failed"]) == (["parameter", "table"], [])
        assert (await gateway.post(CHAT, GEMINI)).status == 503
        other.refresh()
        assert (await other.post(CHAT, GEMINI)).status == 503
        reply = await gateway.admin("revive", {"provider": "google", "why": WHY})
        assert (reply.json["from"], reply.json["to"], reply.json["obeyed"]) == ("on", "off", "off")
        assert (await gateway.post(CHAT, GEMINI)).status == 200
    assert records(stores, "kill-switch.google") == ["kill →on", "revive on→off"]


async def test_everything_can_be_stopped_at_once(gateway: Gateway) -> None:
    await gateway.admin("kill", {"provider": "all", "why": WHY})
    assert (await gateway.post(CHAT, HELLO)).status == 503
    await gateway.admin("revive", {"provider": "all", "why": WHY})
    assert (await gateway.post(CHAT, HELLO)).status == 200


async def test_a_kill_without_the_table_is_obeyed_and_says_what_failed(
    gateway: Gateway, stores: Stores, caplog: pytest.LogCaptureFixture
) -> None:
    stores.dynamodb.delete_table(TableName=FLAG_TABLE)
    with caplog.at_level(logging.INFO, logger="gateway"):
        reply = await gateway.admin("kill", {"provider": "google", "why": WHY})
    assert reply.status == 200
    assert (reply.json["took"], reply.json["failed"]) == (["parameter"], ["table"])
    assert reply.json["obeyed"] == "on"
    assert (await gateway.post(CHAT, GEMINI)).status == 503
    (line,) = [vars(each) for each in caplog.records if each.getMessage() == "flag not written everywhere"]
    assert set(line["failed"]) == {"table"}


async def test_a_kill_without_records_is_obeyed_and_a_revival_waits(gateway: Gateway, stores: Stores) -> None:
    stores.dynamodb.delete_table(TableName=AUDIT_TABLE)
    reply = await gateway.admin("kill", {"provider": "google", "why": WHY})
    assert (reply.status, reply.json["failed"]) == (200, ["audit"])
    reply = await gateway.admin("revive", {"provider": "google", "why": WHY})
    assert (reply.status, reply.error["code"]) == (503, "store_unavailable")
    assert (await gateway.post(CHAT, GEMINI)).status == 503


async def test_a_flag_is_set_with_its_record(gateway: Gateway, stores: Stores) -> None:
    reply = await gateway.admin("flags", {"flag": "rollout.canary-share", "value": 2.5, "why": WHY})
    assert reply.status == 200, reply.body
    assert (reply.json["from"], reply.json["to"], reply.json["obeyed"]) == ("1", "2.5", "2.5")
    assert parameter(stores, "rollout.canary-share") == "2.5"
    assert records(stores, "rollout.canary-share") == ["set 1→2.5"]
    flag = await told(gateway, "rollout.canary-share")
    assert (flag["value"], flag["tier"]) == (2.5, "parameter")
    assert flag["age_s"] >= 0
    assert flag["declaration"]["meaning"] == DECLARED["rollout.canary-share"].meaning


async def test_every_flag_is_told(gateway: Gateway) -> None:
    flags: Any = (await gateway.admin("flags")).json["flags"]
    assert [each["name"] for each in flags] == list(DECLARED)
    assert {tier["tier"] for each in flags for tier in each["tiers"]} == {"parameter", "table"}


async def test_a_stage_is_not_skipped(gateway: Gateway, stores: Stores) -> None:
    for value, code in (("canary", "transition_refused"), ("off", "transition_refused")):
        reply = await gateway.admin("flags", {"flag": "rollout-stage", "value": value, "why": WHY})
        assert (reply.status, reply.error["code"]) == (409, code)
    reply = await gateway.admin("flags", {"flag": "rollout-stage", "value": "shadow", "why": WHY})
    assert reply.status == 200
    reply = await gateway.admin("flags", {"flag": "rollout-stage", "value": "canary", "why": WHY})
    assert reply.status == 409
    assert "0 decisions were made in shadow, it takes 1000" in str(reply.error["message"])
    assert parameter(stores, "rollout-stage") == "shadow"
    assert records(stores, "rollout-stage") == ["set off→shadow"]
