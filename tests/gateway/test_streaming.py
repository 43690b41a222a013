"""Answers pass on as the models make them; what breaks off is never taken for whole."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import openai
import pytest
from openai import APIError

from gateway import answer_stream
from gateway.model import TextDelta
from gateway.surfaces import chat_stream, http
from tests.gateway.providers.stream_wires import BEDROCK, GOOGLE, LLAMA, Answer, Call, WireFormat
from tests.gateway.running import HELLO, Gateway
from tests.gateway.stores import CLIENT_KEY
from tests.gateway.upstreams import CUT, SILENCE, TOLD, Behaviour, Upstreams, events

pytestmark = pytest.mark.asyncio(loop_scope="module")

MODELS = {"bedrock": "claude-sonnet-4-5", "google": "gemini-2.5-flash", "llama": "llama-3.3-70b-instruct"}
WIRES = {"bedrock": BEDROCK, "google": GOOGLE, "llama": LLAMA}
PROVIDERS = list(WIRES)


@pytest.fixture
def gateway(shared_gateway: Gateway) -> Gateway:
    shared_gateway.application.circuits.forget()
    return shared_gateway


@pytest.fixture
def upstreams(shared_upstreams: Upstreams) -> Upstreams:
    shared_upstreams.reset()
    return shared_upstreams


def behaviour_of(upstreams: Upstreams, provider: str) -> Behaviour:
    behaviour = getattr(upstreams, provider)
    assert isinstance(behaviour, Behaviour)
    return behaviour


@asynccontextmanager
async def streamed(
    gateway: Gateway, provider: str, path: str = "/v1/chat/completions", **fields: object
) -> AsyncIterator[aiohttp.ClientResponse]:
    body = {**HELLO, "model": MODELS[provider], "stream": True, **fields}
    async with (
        aiohttp.ClientSession(headers={"authorization": f"Bearer {CLIENT_KEY}"}) as session,
        session.post(gateway.url + path, json=body) as response,
    ):
        yield response


async def data_of(response: aiohttp.ClientResponse) -> list[str]:
    """The data of every event; comments and names are left out."""
    text = (await response.read()).decode()
    return [line[6:] for line in text.split("\n") if line.startswith("data: ")]


async def read_by_the_official_client(gateway: Gateway, provider: str) -> None:
    async with (
        gateway.openai() as client,
        await client.chat.completions.create(
            model=MODELS[provider], messages=[{"role": "user", "content": "Hello"}], stream=True
        ) as stream,
    ):
        async for _chunk in stream:
            pass


async def metrics_of(gateway: Gateway) -> str:
    return (await gateway.call("GET", "/metrics", key=None)).body.decode()


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_the_official_client_reads_every_providers_stream(
    gateway: Gateway, upstreams: Upstreams, provider: str
) -> None:
    behaviour_of(upstreams, provider).text = "Grüß Gott, wie geht es?"
    pieces, usages, reasons = [], [], []
    async with (
        gateway.openai() as client,
        await client.chat.completions.create(
            model=MODELS[provider],
            messages=[{"role": "user", "content": "Hello"}],
            stream=True,
            stream_options={"include_usage": True},
        ) as stream,
    ):
        async for chunk in stream:
            usages.append(chunk.usage)
            for choice in chunk.choices:
                pieces.append(choice.delta.content or "")
                reasons.append(choice.finish_reason)
    assert "".join(pieces) == "Grüß Gott, wie geht es?"
    assert len([piece for piece in pieces if piece]) == 2
    assert [reason for reason in reasons if reason] == ["stop"]
    assert usages[:-1] == [None] * (len(usages) - 1)
    assert usages[-1] is not None
    assert (usages[-1].prompt_tokens, usages[-1].completion_tokens) == (11, 7)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_tool_calls_are_streamed_and_put_together_again(
    gateway: Gateway, upstreams: Upstreams, provider: str
) -> None:
    calls = (Call("call_a", "weather", ('{"city":', '"Köln"}')), Call("call_b", "time", ("{}",)))
    behaviour_of(upstreams, provider).script = [*WIRES[provider].events(Answer(calls=calls, usage=TOLD))]
    async with (
        gateway.openai() as client,
        client.chat.completions.stream(
            model=MODELS[provider],
            messages=[{"role": "user", "content": "Hello"}],
            tools=[
                {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
                for name in ("weather", "time")
            ],
        ) as stream,
    ):
        completion = await stream.get_final_completion()
    made = completion.choices[0].message.tool_calls
    assert made is not None
    assert [one.function.name for one in made] == ["weather", "time"]
    assert [json.loads(one.function.arguments) for one in made] == [{"city": "Köln"}, {}]
    assert completion.choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_streamed_answer_costs_what_a_whole_one_costs(
    gateway: Gateway, upstreams: Upstreams, provider: str
) -> None:
    behaviour_of(upstreams, provider).text = "The same."

    async def cost() -> float:
        stats = (await gateway.call("GET", "/v1/stats")).json["models"]
        assert isinstance(stats, dict)
        return float(sum(model.get("cost_eur_micro", 0) for model in stats.values()))

    costs = [await cost()]
    await gateway.route(model=MODELS[provider])
    costs.append(await cost())
    async with streamed(gateway, provider) as response:
        await response.read()
    costs.append(await cost())
    assert costs[1] - costs[0] == costs[2] - costs[1] > 0


async def test_a_piece_is_passed_on_before_the_next_one_is_made(
    gateway: Gateway, upstreams: Upstreams
) -> None:
    upstreams.llama.script = [*events(LLAMA, "one", "two")[:2], SILENCE]
    async with streamed(gateway, "llama") as response, asyncio.timeout(2):
        seen = b""
        while b"one" not in seen:
            seen += await response.content.readany()
    assert b"two" not in seen
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["x-route-model"].startswith("llama#")
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(("status", "attempts"), [(429, "2"), (500, "2"), (401, "3")])
async def test_before_anything_is_said_another_model_stands_in(
    gateway: Gateway, upstreams: Upstreams, status: int, attempts: str
) -> None:
    upstreams.google.status = status
    body = {"model": "auto", "domain": "culinary"}
    async with streamed(gateway, "google", "/v1/route", **body) as response:
        data = await data_of(response)
    assert response.status == 200
    assert response.headers["x-route-attempts"] == attempts
    assert data[-1] == "[DONE]"
    assert "Good day." in "".join(
        choice["delta"].get("content", "") for each in data[1:-1] for choice in json.loads(each)["choices"]
    )


@pytest.mark.parametrize("broken", [[CUT], [b"\xff\xfe garbage \n\n", CUT], [b""]])
async def test_a_stream_that_breaks_before_its_first_word_is_failed_over(
    gateway: Gateway, upstreams: Upstreams, broken: list[bytes | float | str]
) -> None:
    upstreams.google.script = broken
    body = {"model": "auto", "domain": "culinary"}
    async with streamed(gateway, "google", "/v1/route", **body) as response:
        assert (await data_of(response))[-1] == "[DONE]"
    assert not response.headers["x-route-model"].startswith("google")


async def test_the_route_surface_tells_the_decision_first(gateway: Gateway, upstreams: Upstreams) -> None:
    async with streamed(gateway, "llama", "/v1/route", stream_options={"include_usage": True}) as response:
        text = (await response.read()).decode()
    first, *others = text.split("\n\n")
    assert first.startswith("event: decision\ndata: ")
    assert json.loads(first.partition("data: ")[2])["decision"]["chosen"] == "llama#llama-3.3-70b-instruct"
    assert others[-2:] == ["data: [DONE]", ""]
    assert upstreams.llama.requests


@pytest.mark.parametrize("status", [429, 500])
async def test_where_nobody_answers_the_status_says_so(
    gateway: Gateway, upstreams: Upstreams, status: int
) -> None:
    for provider in PROVIDERS:
        behaviour_of(upstreams, provider).status = status
    async with streamed(gateway, "llama", model="auto") as response:
        error = (await response.json())["error"]
    assert response.status == (429 if status == 429 else 503)
    assert error["code"] == ("rate_limit_exceeded" if status == 429 else "provider_unavailable")


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("ending", [[CUT], []])
async def test_an_answer_that_breaks_off_ends_in_an_error_and_never_in_done(
    gateway: Gateway, upstreams: Upstreams, provider: str, ending: list[bytes | float | str]
) -> None:
    said = events(WIRES[provider], "The beginning", " of")
    upstreams_of = behaviour_of(upstreams, provider)
    upstreams_of.script = [*said[: 2 if provider != "google" else 1], 0.02, *ending]
    async with streamed(gateway, provider) as response:
        *chunks, error = await data_of(response)
    assert response.status == 200
    assert any("The beginning" in chunk for chunk in chunks)
    assert json.loads(error)["error"]["code"] == "provider_failure"
    assert "[DONE]" not in chunks
    upstreams_of.script = [*said[:2], 0.02, *ending]
    with pytest.raises(APIError):
        await read_by_the_official_client(gateway, provider)


async def test_what_was_said_before_it_broke_off_is_paid_for(gateway: Gateway, upstreams: Upstreams) -> None:
    upstreams.llama.script = [*events(LLAMA, "x" * 4000)[:2], CUT]
    before = await metrics_of(gateway)
    async with streamed(gateway, "llama") as response:
        await response.read()
    after = await metrics_of(gateway)

    def output_tokens(text: str) -> float:
        wanted = 'gateway_tokens_total{direction="output",model="llama#llama-3.3-70b-instruct"} '
        return float(text.partition(wanted)[2].partition("\n")[0] or 0)

    assert output_tokens(after) - output_tokens(before) == 1000


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_caller_who_leaves_ends_the_providers_work_within_a_tenth_of_a_second(
    gateway: Gateway, upstreams: Upstreams, provider: str
) -> None:
    first = events(WIRES[provider], "one", "two")
    upstreams_of = behaviour_of(upstreams, provider)
    upstreams_of.script = [*first[:2], SILENCE]
    async with streamed(gateway, provider) as response:
        while b"one" not in await response.content.readany():
            pass
        response.close()
        async with asyncio.timeout(0.1):
            await upstreams_of.cancelled.wait()
    assert gateway.application.http.in_flight == 0


async def test_a_caller_who_leaves_before_the_first_word_ends_the_providers_work(
    gateway: Gateway, upstreams: Upstreams
) -> None:
    upstreams.llama.script = [SILENCE]

    async def ask() -> None:
        async with streamed(gateway, "llama"):
            pass

    asking = asyncio.ensure_future(ask())
    async with asyncio.timeout(2):
        await upstreams.llama.asked.wait()
        await asyncio.sleep(0.05)
        asking.cancel()
        await upstreams.llama.cancelled.wait()


async def test_a_model_that_thinks_keeps_the_connection_alive(
    gateway: Gateway, upstreams: Upstreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answer_stream, "QUIET_S", 0.02)
    role, first, *rest = events(LLAMA, "one")
    upstreams.llama.script = [role, first, 0.1, *rest]
    async with streamed(gateway, "llama") as response:
        text = (await response.read()).decode()
    assert text.count(": ping") >= 2
    assert text.endswith("data: [DONE]\n\n")


async def test_an_answer_that_takes_long_to_begin_is_announced_and_failed_over_all_the_same(
    gateway: Gateway, upstreams: Upstreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_stream, "PATIENCE_S", 0.02)
    monkeypatch.setattr(chat_stream, "QUIET_S", 0.02)
    upstreams.google.script = [0.1, CUT]
    async with streamed(gateway, "google", "/v1/route", model="auto", domain="culinary") as response:
        text = (await response.read()).decode()
    assert text.startswith(": ping\n\n")
    assert "event: decision" in text
    assert text.endswith("data: [DONE]\n\n")


async def test_an_answer_that_never_begins_after_long_is_an_error_event(
    gateway: Gateway, upstreams: Upstreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_stream, "PATIENCE_S", 0.02)
    for provider in PROVIDERS:
        behaviour_of(upstreams, provider).script = [0.1, CUT]
    async with streamed(gateway, "google", model="auto") as response:
        text = (await response.read()).decode()
    assert response.status == 200
    assert json.loads(text.strip().split("\n\n")[-1][6:])["error"]["code"] == "provider_unavailable"
    assert "[DONE]" not in text


@pytest.mark.parametrize("wire", [GOOGLE, LLAMA], ids=["google", "llama"])
async def test_a_malformed_event_is_passed_over(
    gateway: Gateway, upstreams: Upstreams, wire: WireFormat
) -> None:
    first, *rest = events(wire, "one", "two")
    behaviour_of(upstreams, wire.name).script = [first, b'data: {"broken": \n\n', *rest]
    async with streamed(gateway, wire.name) as response:
        data = await data_of(response)
    assert data[-1] == "[DONE]"
    assert {"one", "two"} <= {
        choice["delta"].get("content") for each in data[:-1] for choice in json.loads(each)["choices"]
    }


async def test_usage_that_the_provider_does_not_tell_is_estimated(
    gateway: Gateway, upstreams: Upstreams
) -> None:
    upstreams.llama.script = [*LLAMA.events(Answer(pieces=("four" * 10,)))]
    async with streamed(gateway, "llama", stream_options={"include_usage": True}) as response:
        data = await data_of(response)
    assert json.loads(data[-2])["usage"]["completion_tokens"] == 10


async def test_a_server_that_does_not_stream_is_understood(gateway: Gateway, upstreams: Upstreams) -> None:
    upstreams.llama.streams = False
    async with streamed(gateway, "llama") as response:
        data = await data_of(response)
    assert data[-1] == "[DONE]"
    assert any("Good day." in each for each in data)


async def test_a_reader_who_takes_nothing_holds_the_provider_up_and_is_left_in_the_end(
    gateway: Gateway, upstreams: Upstreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "SLOWEST_READER_S", 0.3)
    piece = events(LLAMA, "x" * 60_000)[1]
    upstreams.llama.script = [piece] * 2000  # 120 MB
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port, limit=1024)
    body = json.dumps({**HELLO, "model": MODELS["llama"], "stream": True}).encode()
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n"
        + f"authorization: Bearer {CLIENT_KEY}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        + body
    )
    async with asyncio.timeout(10):
        await upstreams.llama.cancelled.wait()
    writer.close()
    del reader


async def test_stream_options_belong_to_streams(gateway: Gateway, upstreams: Upstreams) -> None:
    with pytest.raises(openai.BadRequestError, match="stream_options"):
        async with gateway.openai() as client:
            await client.chat.completions.create(
                model="auto",
                messages=[{"role": "user", "content": "Hello"}],
                stream_options={"include_usage": True},
            )
    assert not upstreams.llama.requests


async def test_a_defect_of_the_gateways_own_is_told_logged_and_counted(
    gateway: Gateway, upstreams: Upstreams, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_self: object, _data: bytes) -> list[object]:
        if len(fed) < 2:
            fed.append(_data)
            return [TextDelta("one")]
        raise KeyError("a defect")

    fed: list[bytes] = []
    monkeypatch.setattr("gateway.providers.llama_stream.LlamaStream.feed", broken)
    upstreams.llama.script = [b"data: {}\n\n", 0.02, b"data: {}\n\n", 0.02, b"data: {}\n\n", SILENCE]
    async with streamed(gateway, "llama") as response:
        data = await data_of(response)
        request_id = response.headers["x-request-id"]
    assert json.loads(data[-1])["error"]["code"] == "internal_error"
    assert request_id in json.loads(data[-1])["error"]["message"]
    assert any(each.message == "request broken" for each in caplog.records)
    assert 'gateway_requests_total{status="500",surface="chat"}' in await metrics_of(gateway)
    assert gateway.application.http.in_flight == 0


async def test_streams_that_break_off_and_events_that_are_left_out_are_counted(
    gateway: Gateway, upstreams: Upstreams, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    upstreams.llama.script = [*events(LLAMA, "one", "two")[:2], b"data: {\n\n", 0.02, CUT]
    async with streamed(gateway, "llama") as response:
        await response.read()
    metrics = await metrics_of(gateway)
    assert 'gateway_streams_broken_off_total{model="llama#llama-3.3-70b-instruct"}' in metrics
    assert 'gateway_stream_events_passed_over_total{model="llama#llama-3.3-70b-instruct"}' in metrics
    (line,) = [each for each in caplog.records if getattr(each, "broken_off", False)]
    assert line.events_passed_over == 1  # type: ignore[attr-defined]
    assert line.attempts[0].outcome in ("unreachable", "protocol")  # type: ignore[attr-defined]


async def test_a_caller_who_left_before_the_first_word_is_logged_with_the_attempt(
    gateway: Gateway, upstreams: Upstreams, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    upstreams.llama.script = [SILENCE]

    async def ask() -> None:
        async with streamed(gateway, "llama"):
            pass

    asking = asyncio.ensure_future(ask())
    async with asyncio.timeout(2):
        await upstreams.llama.asked.wait()
        await asyncio.sleep(0.05)
        asking.cancel()
        while not (  # noqa: ASYNC110 - log lines, not events
            lines := [each for each in caplog.records if getattr(each, "status", None) == 499]
        ):
            await asyncio.sleep(0.01)
    assert [attempt.outcome for attempt in lines[-1].attempts] == ["cancelled"]  # type: ignore[attr-defined]
