"""What operators change is taken up while the gateway runs; what is wrong, or gone, changes nothing."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from typing import Any

import msgspec
import pytest

from gateway.control.flag_tiers import FlagRecord, ParameterTier, TableTier
from gateway.control.registry import Lifecycle, RegistryView
from gateway.control.route_sets import RouteSetParameter
from gateway.control.snapshot import Loaded, Snapshot
from tests.gateway.running import Gateway, running_gateway
from tests.gateway.stores import (
    ADMIN_KEY,
    CLIENT_KEY,
    ROUTE_SET,
    TABLE,
    Stores,
    declared_models,
    declared_route_set,
)
from tests.gateway.upstreams import Upstreams

MODELS = "/v1/models"
HAIKU = next(item for item in declared_models() if item.model == "claude-haiku-4-5")


async def chosen(gateway: Gateway, **fields: object) -> object:
    reply = await gateway.route(dry_run=True, **fields)
    assert reply.status == 200, reply.body
    decision = reply.json["decision"]
    assert isinstance(decision, dict)
    return decision["chosen"]


async def test_keys_rotate_without_a_restart(gateway: Gateway, stores: Stores) -> None:
    stores.put_secret("client", {"current": "new-key", "previous": CLIENT_KEY})
    assert (await gateway.call("GET", MODELS, key="new-key")).status == 200, (
        "it is looked up at its first use"
    )
    assert (await gateway.call("GET", MODELS, key=CLIENT_KEY)).status == 200
    stores.put_secret("client", {"current": "new-key", "previous": ""})
    gateway.refresh()
    assert (await gateway.call("GET", MODELS, key=CLIENT_KEY)).status == 401
    assert (await gateway.call("GET", MODELS, key="")).status == 401


@pytest.mark.parametrize("broken", ["", "{", "[]", '{"current": 5}', '{"current": "", "previous": ""}'])
async def test_an_unreadable_key_secret_leaves_the_keys_in_force(
    gateway: Gateway, stores: Stores, broken: str
) -> None:
    stores.put_secret("client", broken or " ")
    gateway.refresh()
    assert (await gateway.call("GET", MODELS)).status == 200
    assert gateway.application.control.client_keys.refused_values == 1


async def test_a_new_route_set_is_taken_up_and_a_broken_one_is_not(gateway: Gateway, stores: Stores) -> None:
    changed = declared_route_set() | {"version": "2026-12-01"}
    changed["domains"]["culinary"] = {"fit": {"llama": 1.0}, "closed": True}  # type: ignore[index]
    stores.put_route_set(json.dumps(changed))
    gateway.refresh()
    assert "llama" in str(await chosen(gateway, domain="culinary"))
    for broken in ("{", "{}", json.dumps(changed | {"default_domain": "nowhere"})):
        stores.put_route_set(broken)
        gateway.refresh()
        assert "llama" in str(await chosen(gateway, domain="culinary"))
    assert gateway.application.control.route_set.refused_values == 3


def with_versions(version: str, *keys: str) -> dict[str, object]:
    """The declared route set, asking for another version of `keys`, or of all models where none is named."""
    changed = declared_route_set()
    models = changed["models"]
    assert isinstance(models, list)
    for model in models:
        if not keys or model["key"] in keys:
            model["version"] = version
    return changed | {"version": "2026-12-01"}


async def test_a_route_set_of_which_no_model_is_registered_replaces_none(
    gateway: Gateway, stores: Stores
) -> None:
    stores.put_route_set(json.dumps(with_versions("2099-01-01")))
    gateway.refresh()
    gateway.refresh()
    reply = await gateway.route(domain="legal")
    assert reply.status == 200
    assert reply.headers["x-route-policy"] == "default@2026-11-01"
    complaints = gateway.application.control.route_set.complaints
    assert "no model of default@2026-12-01 can answer" in complaints[0]
    assert f"{HAIKU.key} version 2099-01-01 is not registered" in complaints[0]
    stores.register(msgspec.structs.replace(HAIKU, version="2099-01-01"))
    gateway.refresh()
    assert (await gateway.route(domain="legal")).headers["x-route-policy"] == "default@2026-12-01"


async def test_a_route_set_of_which_every_model_is_a_draft_replaces_none(
    gateway: Gateway, stores: Stores
) -> None:
    for item in declared_models():
        stores.register(msgspec.structs.replace(item, version="2099-01-01", lifecycle=Lifecycle.DRAFT))
    stores.put_route_set(json.dumps(with_versions("2099-01-01")))
    gateway.refresh()
    assert (await gateway.route(domain="legal")).headers["x-route-policy"] == "default@2026-11-01"
    assert "version 2099-01-01 is draft" in gateway.application.control.route_set.complaints[0]


async def test_a_route_set_with_one_model_missing_is_taken_up_and_complained_of(
    gateway: Gateway, stores: Stores
) -> None:
    stores.put_route_set(json.dumps(with_versions("2099-01-01", HAIKU.key)))
    gateway.refresh()
    assert (await gateway.route(domain="legal")).headers["x-route-policy"] == "default@2026-12-01"
    complaints = gateway.application.control.route_set.complaints
    assert [f"{HAIKU.key} version 2099-01-01 is not registered" in each for each in complaints] == [True]


@pytest.mark.parametrize(("registered", "complaints"), [(None, 0), ({}, 1)])
async def test_the_first_route_set_is_taken_up_whatever_is_registered_yet(
    stores: Stores, registered: RegistryView | None, complaints: int
) -> None:
    parameter = RouteSetParameter(stores.ssm, ROUTE_SET, lambda: registered)
    loaded = parameter.load(None)
    assert loaded.value.policy_version == "default@2026-11-01"
    assert len(loaded.problems) == complaints
    assert len(parameter.load(loaded.value).problems) == complaints


async def test_a_kill_switch_moves_requests_elsewhere_and_back(gateway: Gateway, stores: Stores) -> None:
    assert "google" in str(await chosen(gateway, domain="culinary"))
    stores.put_flag("kill-switch.google", "on")
    gateway.refresh()
    assert "google" not in str(await chosen(gateway, domain="culinary"))
    stores.put_flag("kill-switch.google", "perhaps")
    gateway.refresh()
    assert "google" not in str(await chosen(gateway, domain="culinary"))
    stores.put_flag("kill-switch.google", "off")
    gateway.refresh()
    assert "google" in str(await chosen(gateway, domain="culinary"))


async def test_a_kill_switch_thrown_during_a_call_holds_for_its_fallback(
    gateway: Gateway, stores: Stores, upstreams: Upstreams
) -> None:
    upstreams.bedrock.hold.clear()
    upstreams.bedrock.status = 503
    asking = asyncio.ensure_future(gateway.route(domain="legal"))
    await asyncio.wait_for(upstreams.bedrock.asked.wait(), 5)
    stores.put_flag("kill-switch.google", "on")
    gateway.refresh()
    upstreams.bedrock.hold.set()
    assert (await asking).status == 200
    assert not upstreams.google.requests, (
        "Gemini is second in legal, but was switched off before it was asked"
    )
    assert upstreams.llama.requests


async def test_the_switch_for_all_stops_every_call(gateway: Gateway, stores: Stores) -> None:
    stores.put_flag("kill-switch.all", "on")
    gateway.refresh()
    reply = await gateway.route()
    assert reply.status == 503
    assert reply.error["code"] == "no_eligible_model"
    assert reply.headers["x-should-retry"] == "false"
    assert str(reply.error["message"]).count("kill-switch.all is on") == 6


async def test_the_rollout_stage_is_told_with_the_decision(gateway: Gateway, stores: Stores) -> None:
    stores.put_flag("rollout-stage", "shadow")
    gateway.refresh()
    reply = await gateway.route(dry_run=True)
    assert reply.json["decision"]["stage"] == "shadow"  # type: ignore[index]


async def test_flags_are_read_beyond_the_first_page(gateway: Gateway, stores: Stores) -> None:
    for number in range(12):
        stores.put_flag(f"a-flag-of-another-part-{number}", "whatever")
    stores.put_flag("kill-switch.google", "on")
    gateway.refresh()
    assert gateway.application.control.flags_in_force().texts()["kill-switch.google"] == "on"


async def test_an_unreadable_registry_item_stays_what_it_was(gateway: Gateway, stores: Stores) -> None:
    stores.dynamodb.update_item(
        TableName=TABLE,
        Key={"provider#model": {"S": HAIKU.key}, "version": {"S": HAIKU.version}},
        UpdateExpression="SET lifecycle = :wrong",
        ExpressionAttributeValues={":wrong": {"S": "immortal"}},
    )
    gateway.refresh()
    registry = gateway.application.control.registry
    assert registry.value is not None
    assert registry.value[HAIKU.key, HAIKU.version] == HAIKU
    assert registry.refused_values == 1
    assert "lifecycle" in registry.complaints[0]


async def test_the_last_good_snapshots_outlive_their_stores(
    gateway: Gateway, stores: Stores, upstreams: Upstreams
) -> None:
    stores.dynamodb.delete_table(TableName=TABLE)
    stores.ssm.delete_parameter(Name="/ai-orchestration/test/route-sets/active")
    for arn in stores.arns.values():
        stores.secrets.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
    gateway.refresh()
    gateway.refresh()
    assert (await gateway.call("GET", "/health/ready", key=None)).status == 200
    assert (await gateway.route(domain="legal")).status == 200
    assert (await gateway.route(domain="culinary")).status == 200
    stats = (await gateway.call("GET", "/v1/stats")).json
    snapshots = stats["snapshots"]
    assert isinstance(snapshots, dict)
    assert snapshots["registry"]["failures"] == 2
    assert snapshots["registry"]["complaints"] == 1
    assert "ResourceNotFoundException" not in str(stats)
    complaints = (await gateway.call("GET", "/v1/admin/complaints", key=ADMIN_KEY)).json
    assert "ResourceNotFoundException" in str(complaints["registry"])
    assert (await gateway.call("GET", "/v1/admin/complaints")).status == 403
    assert upstreams.bedrock.requests


async def test_no_request_is_answered_before_a_tier_of_flags_has_said_what_is_killed(
    stores: Stores, upstreams: Upstreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(_tier: object) -> dict[str, FlagRecord]:
        raise TimeoutError

    stores.put_flag("kill-switch.all", "on")
    with monkeypatch.context() as patched:
        for tier in (ParameterTier, TableTier):
            patched.setattr(tier, "read", lost)
        async with running_gateway(stores, upstreams, wait_until_ready=False) as gateway:
            async with asyncio.timeout(20):
                while gateway.application.missing() != ("flags",):  # noqa: ASYNC110 - conditions, not events
                    await asyncio.sleep(0.01)
            gateway.application.control.stop()
            gateway.refresh()
            assert (await gateway.call("GET", "/health/ready", key=None)).json["waiting_for"] == ["flags"]
            reply = await gateway.route()
            assert (reply.status, reply.json["error"]["code"]) == (503, "not_ready")  # type: ignore[index]
            patched.undo()
            gateway.application.control.flags.refresh_now("parameter")
            assert (await gateway.call("GET", "/health/ready", key=None)).status == 200
            assert (await gateway.route()).json["error"]["code"] != "not_ready"  # type: ignore[index]
    assert not upstreams.bedrock.requests


async def test_a_provider_is_used_as_soon_as_its_key_is_set(stores: Stores, upstreams: Upstreams) -> None:
    stores.put_secret("llama", {})
    async with running_gateway(stores, upstreams) as gateway:
        refused = await gateway.route(model="llama-3.3-70b-instruct")
        assert refused.status == 503
        assert "no credential is set" in str(refused.error["message"])
        stores.put_secret("llama", {"api_key": "now-set"})
        gateway.refresh()
        assert (await gateway.route(model="llama-3.3-70b-instruct")).status == 200


@pytest.mark.parametrize(
    "key",
    [
        "a\r\nx-injected: b",
        "a\n",
        "\nb",
        "a b",
        "a\tb",
        "a\x00b",
        "\x7f",
        "schlüssel",
        "\u2018key\u2019",
        5,
        ["a"],
        True,
    ],
)
async def test_a_key_that_no_header_can_carry_leaves_the_provider_out_and_says_so(
    gateway: Gateway, stores: Stores, upstreams: Upstreams, key: object
) -> None:
    stores.put_secret("llama", {"api_key": key})
    gateway.refresh()
    reply = await gateway.route(model="llama-3.3-70b-instruct")
    assert reply.status == 503
    assert "no text of visible ASCII characters" in str(reply.error["message"])
    assert not upstreams.llama.requests


async def test_a_disabled_provider_is_excluded_with_the_reason(stores: Stores, upstreams: Upstreams) -> None:
    without: dict[str, Any] = {
        "GOOGLE_SECRET": "",
        "GOOGLE_BASE_URL": "",
        "GOOGLE_PROJECT": "",
        "GOOGLE_LOCATION": "",
    }
    async with running_gateway(stores, upstreams, **without) as gateway:
        reply = await gateway.route(domain="culinary")
        told = {each["key"]: each["reason"] for each in reply.json["decision"]["excluded"]}  # type: ignore[index]
    assert told["google#gemini-2.5-flash"] == "the provider is disabled in this environment"


class Store:
    """A store whose answer the test decides."""

    def __init__(self) -> None:
        self.answer: str | Exception = "first"
        self.problems: tuple[str, ...] = ()

    def load(self, _previous: str | None) -> Loaded[str]:
        if isinstance(self.answer, Exception):
            raise self.answer
        return Loaded(self.answer, self.problems)


def test_a_snapshot_keeps_its_value_and_tells_its_age_while_the_store_is_gone() -> None:
    store, now = Store(), [100.0]
    snapshot = Snapshot("test", store.load, interval_s=1, clock=lambda: now[0])
    snapshot.refresh()
    store.answer = OSError("gone")
    now[0] = 107.0
    snapshot.refresh()
    assert (snapshot.value, snapshot.age_s, snapshot.failures) == ("first", 7.0, 1)
    store.answer = "second"
    snapshot.refresh()
    assert (snapshot.value, snapshot.age_s) == ("second", 0.0)


def test_a_snapshot_has_no_age_before_its_store_ever_answered() -> None:
    store = Store()
    store.answer = OSError("gone")
    snapshot = Snapshot("test", store.load, interval_s=1)
    snapshot.refresh()
    assert snapshot.age_s is None
    assert snapshot.attempts == 1


def test_a_complaint_is_logged_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gateway.control.snapshot")
    store = Store()
    snapshot = Snapshot("test", store.load, interval_s=1)
    store.problems = ("it is wrong",)
    for _ in range(3):
        snapshot.refresh()
    store.problems = ("it is wrong in another way",)
    snapshot.refresh()
    store.problems = ()
    snapshot.refresh()
    snapshot.refresh()
    assert [record.message for record in caplog.records] == ["snapshot not taken up"] * 2 + [
        "snapshot good again"
    ]


def test_a_started_snapshot_refreshes_itself_until_stopped() -> None:
    read = threading.Semaphore(0)

    def load(previous: int | None) -> Loaded[int]:
        read.release()
        return Loaded((previous or 0) + 1)

    snapshot = Snapshot("test", load, interval_s=0.01)
    snapshot.start()
    for _ in range(3):
        assert read.acquire(timeout=5)
    snapshot.stop()
    assert snapshot.value is not None
    assert snapshot.value >= 2
