"""The tiers as the gateway wires them: what each reads of its store, and a third where it is told of one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.control.flag_tiers import FlagRecord, ParameterTier, TableTier
from tests.gateway.process import free_port
from tests.gateway.running import Gateway, running_gateway
from tests.gateway.stores import ADMIN_KEY, FLAG_TABLE, FLAGS, Stores, simulated_stores
from tests.gateway.upstreams import Upstreams


@pytest.fixture
def filled() -> Iterator[Stores]:
    with simulated_stores("http://127.0.0.1/token") as stores:
        yield stores


def test_a_parameter_was_changed_when_it_was_last_put(filled: Stores) -> None:
    filled.put_flag("kill-switch.all", "on")
    record = ParameterTier(filled.ssm, FLAGS).read()["kill-switch.all"]
    told = filled.ssm.get_parameter(Name=f"{FLAGS}/kill-switch.all")["Parameter"]["LastModifiedDate"]
    assert record == FlagRecord("on", round(told.timestamp() * 1000))


def test_an_item_is_told_with_who_put_it_and_why(filled: Stores) -> None:
    filled.dynamodb.put_item(
        TableName=FLAG_TABLE,
        Item={
            "flag": {"S": "kill-switch.all"},
            "value": {"S": "on"},
            "changed_at_ms": {"N": "5"},
            "changed_by": {"S": "anna"},
            "why": {"S": "a fire"},
        },
    )
    read = TableTier(filled.dynamodb, FLAG_TABLE).read()
    assert read == {"kill-switch.all": FlagRecord("on", 5, "anna", "a fire")}


@pytest.mark.parametrize(
    ("attributes", "record"),
    [
        ({}, FlagRecord("", 0)),
        ({"value": {"BOOL": True}, "changed_at_ms": {"S": "5"}}, FlagRecord("", 0)),
        ({"value": {"S": "on"}, "changed_at_ms": {"N": "-5"}}, FlagRecord("on", 0)),
        ({"value": {"S": "on"}, "changed_at_ms": {"N": "5.5"}}, FlagRecord("on", 0)),
    ],
)
def test_an_item_of_another_shape_hides_no_other_flag(
    filled: Stores, attributes: dict[str, dict[str, str]], record: FlagRecord
) -> None:
    filled.dynamodb.put_item(TableName=FLAG_TABLE, Item={"flag": {"S": "kill-switch.all"}, **attributes})
    filled.put_flag_item("kill-switch.llama", "on", 5)
    read = TableTier(filled.dynamodb, FLAG_TABLE).read()
    assert read == {"kill-switch.all": record, "kill-switch.llama": FlagRecord("on", 5)}


def test_evidence_is_no_flag_and_a_table_of_several_pages_is_read_whole(filled: Stores) -> None:
    for number in range(8):
        padding = {"S": "x" * 300_000}
        key = {"flag": {"S": f"evidence#rollout-stage#{number}"}}
        filled.dynamodb.put_item(TableName=FLAG_TABLE, Item={**key, "padding": padding})
    filled.put_flag_item("kill-switch.llama", "on", 5)
    assert list(TableTier(filled.dynamodb, FLAG_TABLE).read()) == ["kill-switch.llama"]


async def test_a_kill_in_the_table_alone_stops_a_provider(gateway: Gateway, stores: Stores) -> None:
    stores.put_flag_item("kill-switch.google", "on")
    gateway.refresh()
    reply = await gateway.route(dry_run=True, domain="culinary")
    excluded = {each["filter"] for each in reply.json["decision"]["excluded"]}  # type: ignore[index]
    assert "kill_switch" in excluded


async def test_a_database_that_is_lost_keeps_no_gateway_from_its_work(
    stores: Stores, upstreams: Upstreams
) -> None:
    database: dict[str, Any] = {
        "FLAG_DATABASE_HOST": "127.0.0.1",
        "FLAG_DATABASE_PORT": str(free_port()),
        "FLAG_DATABASE_NAME": "flags",
        "FLAG_DATABASE_USER": "flag_reader",
    }
    async with running_gateway(stores, upstreams, **database) as gateway:
        for _ in range(3):
            gateway.application.control.flags.refresh_now("database")
        assert (await gateway.route()).status == 200
        metrics = (await gateway.call("GET", "/metrics", key=None)).body.decode()
        complaints = (await gateway.call("GET", "/v1/admin/complaints", key=ADMIN_KEY)).json
    is_open = dict(re.findall(r'gateway_flag_tier_circuit_open{tier="(\w+)"} (\S+)', metrics))
    assert is_open == {"parameter": "0.0", "table": "0.0", "database": "1.0"}
    assert 'gateway_snapshot_age_seconds{snapshot="flags_table"}' in metrics
    assert 'gateway_snapshot_age_seconds{snapshot="flags_database"}' not in metrics
    assert "flag database 127.0.0.1" in str(complaints["flags_database"])
    assert complaints["flags_parameter"] == []
