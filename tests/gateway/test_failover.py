"""One provider fails and another answers; the caller's own mistakes stay with the caller."""

from __future__ import annotations

import asyncio

import pytest

from tests.gateway.running import HELLO, Gateway
from tests.gateway.upstreams import Upstreams

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def gateway(shared_gateway: Gateway) -> Gateway:
    shared_gateway.application.circuits.forget()
    return shared_gateway


@pytest.fixture
def upstreams(shared_upstreams: Upstreams) -> Upstreams:
    shared_upstreams.reset()
    return shared_upstreams


def outcomes(reply_json: dict[str, object]) -> list[tuple[str, str]]:
    attempts = reply_json["attempts"]
    assert isinstance(attempts, list)
    return [(each["key"], each["outcome"]) for each in attempts]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (500, "overloaded"),
        (503, "overloaded"),
        (429, "rate_limited"),
        (401, "authentication"),
        (403, "authentication"),
    ],
)
async def test_the_next_candidate_answers_where_the_first_fails(
    gateway: Gateway, upstreams: Upstreams, status: int, outcome: str
) -> None:
    upstreams.bedrock.status = status
    upstreams.google.text = "From the second."
    reply = await gateway.route(domain="legal")
    assert reply.status == 200
    ranked = [each["key"] for each in reply.json["decision"]["candidates"]]  # type: ignore[index]
    other = next(key for key in ranked if not key.startswith("bedrock"))
    assert outcomes(reply.json) == [(ranked[0], outcome), (other, "answered")]
    assert reply.headers["x-route-attempts"] == "2"
    assert reply.json["completion"]["choices"][0]["message"]["content"] == "From the second."  # type: ignore[index]


async def test_a_connection_that_breaks_is_failed_over(gateway: Gateway, upstreams: Upstreams) -> None:
    upstreams.google.cut = True
    reply = await gateway.route(domain="culinary")
    assert reply.status == 200
    assert [outcome for _, outcome in outcomes(reply.json)] == ["unreachable", "answered"]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/route"])
async def test_a_request_the_provider_finds_wrong_is_not_sent_to_another(
    gateway: Gateway, upstreams: Upstreams, path: str
) -> None:
    upstreams.bedrock.status = 400
    reply = await gateway.post(path, {**HELLO, "domain": "legal"}, headers={"x-domain": "legal"})
    assert reply.status == 400
    assert reply.error["type"] == "invalid_request_error"
    assert not upstreams.google.requests
    assert not upstreams.llama.requests


async def test_one_healthy_provider_answers_while_the_others_are_down(
    gateway: Gateway, upstreams: Upstreams
) -> None:
    upstreams.bedrock.status = upstreams.google.status = 500
    reply = await gateway.route(domain="legal")
    assert reply.status == 200
    asked = [(key.partition("#")[0], outcome) for key, outcome in outcomes(reply.json)]
    assert asked == [("bedrock", "overloaded"), ("google", "overloaded"), ("llama", "answered")]


async def test_while_all_are_down_each_provider_is_asked_once(gateway: Gateway, upstreams: Upstreams) -> None:
    for behaviour in (upstreams.bedrock, upstreams.google, upstreams.llama):
        behaviour.status = 503
    reply = await gateway.route(domain="legal")
    assert reply.status == 503
    assert reply.error["code"] == "provider_unavailable"
    assert [len(each.requests) for each in (upstreams.bedrock, upstreams.google, upstreams.llama)] == [
        1,
        1,
        1,
    ]


async def test_where_there_is_no_other_provider_the_same_ones_next_model_is_asked_once(
    gateway: Gateway, upstreams: Upstreams
) -> None:
    upstreams.bedrock.status = 503
    reply = await gateway.route(domain="medical")
    assert reply.status == 503
    assert len(upstreams.bedrock.requests) == 2
    assert not upstreams.google.requests + upstreams.llama.requests, "medical is closed to them"


async def test_rate_limits_everywhere_say_when_to_come_back(gateway: Gateway, upstreams: Upstreams) -> None:
    for behaviour, wait in ((upstreams.bedrock, "30"), (upstreams.google, "7"), (upstreams.llama, "60")):
        behaviour.status = 429
        behaviour.headers = {"retry-after": wait}
    reply = await gateway.route(domain="legal")
    assert reply.status == 429
    assert reply.error["code"] == "rate_limit_exceeded"
    assert reply.headers["retry-after"] == "7"


async def test_a_rate_limit_without_a_time_gets_one(gateway: Gateway, upstreams: Upstreams) -> None:
    upstreams.bedrock.status = 429
    reply = await gateway.route(model="claude-haiku-4-5")
    assert reply.status == 429
    assert int(reply.headers["retry-after"]) >= 1


async def test_a_providers_refusal_of_our_credential_is_not_the_callers(
    gateway: Gateway, upstreams: Upstreams
) -> None:
    upstreams.bedrock.status = 403
    reply = await gateway.route(model="claude-haiku-4-5")
    assert reply.status == 503
    assert "bedrock says no" not in reply.body.decode()


async def test_a_caller_who_leaves_ends_the_providers_work(gateway: Gateway, upstreams: Upstreams) -> None:
    upstreams.bedrock.hang = True
    asking = asyncio.ensure_future(gateway.route(domain="medical"))
    await asyncio.wait_for(upstreams.bedrock.asked.wait(), 5)
    asking.cancel()
    await asyncio.wait_for(upstreams.bedrock.cancelled.wait(), 1)
    assert len(upstreams.bedrock.requests) == 1
    metrics = (await gateway.call("GET", "/metrics", key=None)).body.decode()
    assert 'gateway_requests_total{status="499",surface="route"} 1.0' in metrics
    assert 'outcome="cancelled"' in metrics
