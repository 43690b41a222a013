"""What the platform and the operators see of a running gateway."""

from __future__ import annotations

import functools
import operator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.gateway.running import Gateway
from tests.gateway.upstreams import Upstreams

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def gateway(shared_gateway: Gateway) -> Gateway:
    return shared_gateway


@pytest.fixture
def upstreams(shared_upstreams: Upstreams) -> Upstreams:
    shared_upstreams.reset()
    return shared_upstreams


async def samples(gateway: Gateway) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    reply = await gateway.call("GET", "/metrics", key=None)
    assert reply.status == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(reply.body.decode())
        for sample in family.samples
    }


async def test_it_is_live_and_ready(gateway: Gateway) -> None:
    assert (await gateway.call("GET", "/health/live", key=None)).json == {"status": "live"}
    assert (await gateway.call("GET", "/health/ready", key=None)).json == {"status": "ready"}


async def test_a_draining_gateway_is_not_ready_but_live(gateway: Gateway) -> None:
    gateway.application.draining = True
    try:
        assert (await gateway.call("GET", "/health/ready", key=None)).status == 503
        assert (await gateway.call("GET", "/health/live", key=None)).status == 200
        assert (await gateway.route()).status == 200
    finally:
        gateway.application.draining = False


async def test_an_answered_request_is_counted_with_its_tokens_and_cost(
    gateway: Gateway, upstreams: Upstreams
) -> None:
    before = await samples(gateway)
    reply = await gateway.route(model="gemini-2.5-pro")
    after = await samples(gateway)
    assert upstreams.google.requests

    def grown(name: str, **labels: str) -> float:
        key = (name, frozenset(labels.items()))
        return after.get(key, 0.0) - before.get(key, 0.0)

    pro = "google#gemini-2.5-pro"
    assert grown("gateway_requests_total", surface="route", status="200") == 1
    assert grown("gateway_provider_calls_total", model=pro, outcome="answered") == 1
    assert grown("gateway_tokens_total", model=pro, direction="input") == 11
    assert grown("gateway_tokens_total", model=pro, direction="output") == 7
    assert grown("gateway_cost_eur_micro_total", model=pro) == reply.json["cost_eur_micro"]
    assert grown("gateway_decisions_total", model=pro, domain="general", budget_tier="standard") == 1
    assert after["gateway_snapshot_age_seconds", frozenset({("snapshot", "registry")})] >= 0


async def test_no_caller_makes_the_number_of_series_grow(gateway: Gateway) -> None:
    async def strange(number: int) -> None:
        await gateway.call("GET", f"/v1/path-{number}")
        await gateway.route(domain=f"domain-{number}", dry_run=True)
        await gateway.route(model=f"model-{number}")

    await strange(0)
    before = set(await samples(gateway))
    for number in range(1, 5):
        await strange(number)
    assert set(await samples(gateway)) == before


async def test_the_statistics_tell_what_happened_and_how_fresh_the_snapshots_are(gateway: Gateway) -> None:
    await gateway.route(model="gemini-2.5-flash")
    stats = (await gateway.call("GET", "/v1/stats")).json
    assert stats["policy_version"] == "default@2026-11-01"
    assert stats["registered_versions"] == 6
    assert stats["flags"] == {
        "kill-switch.all": "off",
        "kill-switch.bedrock": "off",
        "kill-switch.google": "off",
        "kill-switch.llama": "off",
        "rollout-stage": "off",
        "rollout.shadow-share": "10",
        "rollout.canary-share": "1",
        "rollout.shadow-decisions": "1000",
    }
    assert stats["unconfigured_providers"] == {}
    models = stats["models"]
    assert isinstance(models, dict)
    assert models["google#gemini-2.5-flash"]["calls_answered"] >= 1
    snapshots = stats["snapshots"]
    assert isinstance(snapshots, dict)
    stores = {"registry", "route_set", "flags_parameter", "flags_table", "client_keys", "admin_keys"}
    assert stores < set(snapshots)
    assert all(each["age_s"] >= 0 for each in snapshots.values())


async def test_a_dry_run_decides_and_calls_nobody(gateway: Gateway, upstreams: Upstreams) -> None:
    reply = await gateway.route(domain="legal", dry_run=True)
    assert set(reply.json) == {"request_id", "decision"}
    assert reply.json["request_id"] == reply.headers["x-request-id"]
    assert not upstreams.bedrock.requests
    assert not upstreams.google.requests
    assert not upstreams.llama.requests


async def test_the_explanation_accounts_for_the_score_to_the_last_digit(gateway: Gateway) -> None:
    for domain in ("legal", "culinary", "medical", "technical", "general"):
        for tier in ("low", "standard", "premium"):
            reply = await gateway.route(domain=domain, budget_tier=tier, sla_ms=1234, dry_run=True)
            decision = reply.json["decision"]
            assert isinstance(decision, dict)
            for candidate in decision["candidates"]:
                contributions = [partial["contribution"] for partial in candidate["partials"]]
                assert candidate["score"] == functools.reduce(operator.add, contributions)
                assert contributions == [each["weight"] * each["value"] for each in candidate["partials"]]


async def test_a_full_answer_carries_decision_attempts_cost_and_completion(gateway: Gateway) -> None:
    reply = await gateway.route(domain="legal", budget_tier="standard", sla_ms=5000, model="auto")
    assert set(reply.json) == {"request_id", "decision", "attempts", "cost_eur_micro", "completion"}
    completion = reply.json["completion"]
    assert isinstance(completion, dict)
    assert completion["object"] == "chat.completion"
    assert completion["model"] == "claude-haiku-4-5"
