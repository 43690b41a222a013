"""The adapters against the simulated providers, over real HTTP."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import msgspec
import pytest
from botocore.credentials import ReadOnlyCredentials
from cryptography.hazmat.primitives import serialization
from yarl import URL

from gateway.model import (
    Completion,
    FinishReason,
    Image,
    Message,
    Request,
    Role,
    Sampling,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolChoiceMode,
    Usage,
)
from gateway.providers.adapter import Adapter, FailureKind, HttpRequest, HttpResponse, ProviderError
from gateway.providers.bedrock import BedrockAdapter
from gateway.providers.google import GoogleAdapter
from gateway.providers.google_tokens import GoogleTokens
from gateway.providers.llama import LlamaAdapter
from local.providers.credentials import generated_service_account
from local.providers.server import serve

MODELS = {
    "bedrock": "arn:aws:bedrock:eu-central-1:123456789012:inference-profile/eu.anthropic.claude-v1:0",
    "google": "gemini-3-pro",
    "llama": "Llama-3.3-70B-Instruct",
}
WEATHER = Tool(
    "weather", "", {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
)
HELLO = Request(id="r", messages=(Message(Role.USER, (Text("Grüß Gott"),)),))
LONG = Request(
    id="r2",
    messages=(
        Message(Role.SYSTEM, (Text("Be brief."),)),
        Message(Role.USER, (Text("What is this, and how warm is it there?"), Image("image/png", b"\x89PNG"))),
        Message(
            Role.ASSISTANT,
            (Text("Let me look."),),
            (
                ToolCall("call/1 from elsewhere", "weather", '{"city":"Köln"}'),
                ToolCall("b", "weather", "oops"),
            ),
        ),
        Message(Role.TOOL, (Text("bad arguments"),), tool_call_id="b"),
        Message(Role.TOOL, (Text("21 °C"),), tool_call_id="call/1 from elsewhere"),
        Message(Role.USER, (Text("Well?"),), name="Anna"),
        Message(Role.USER, (Text("Hello?"),)),
    ),
    tools=(WEATHER,),
    sampling=Sampling(200, 0.3, 0.9, ("END",)),
)
every_provider = pytest.mark.parametrize("provider", sorted(MODELS))
KEYS = ReadOnlyCredentials("AKIDSIMULATED", "a secret", "a session token")


class World:
    """The simulation, an HTTP client, and an adapter for each provider."""

    def __init__(self, base: str, client: aiohttp.ClientSession) -> None:
        self.base = base
        self.client = client
        self.key_file = _key_file() | {"token_uri": f"{base}/token"}
        self.tokens = GoogleTokens(lambda: self.key_file, self.send)
        self.adapters: dict[str, Adapter] = {
            "bedrock": BedrockAdapter("eu-central-1", base, lambda: KEYS),
            "google": GoogleAdapter(base, "p", "eu", self.tokens.token),
            "llama": LlamaAdapter(f"{base}/llama/v1", lambda: "the key"),
        }

    async def send(self, request: HttpRequest) -> HttpResponse:
        url = URL(request.url, encoded=True)
        async with self.client.request(
            request.method, url, headers=request.headers, data=request.body
        ) as answer:
            headers = {name.lower(): value for name, value in answer.headers.items()}
            return HttpResponse(answer.status, headers, await answer.read())

    async def control(self, path: str, body: object) -> None:
        async with self.client.put(f"{self.base}/_control/{path}", json=body) as answer:
            assert answer.status < 300, await answer.text()

    async def ask(self, provider: str, request: Request = HELLO) -> Completion:
        adapter = self.adapters[provider]
        return adapter.parse(await self.send(adapter.prepare(request, MODELS[provider])), request)

    async def failure(self, provider: str, request: Request = HELLO) -> ProviderError:
        with pytest.raises(ProviderError) as failed:
            await self.ask(provider, request)
        return failed.value


@functools.cache
def _key_file() -> dict[str, str]:
    return generated_service_account("")


@pytest.fixture
async def world() -> AsyncIterator[World]:
    runner, port = await serve(0)
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(timeout=timeout) as client:
        world = World(f"http://127.0.0.1:{port}", client)
        private = serialization.load_pem_private_key(world.key_file["private_key"].encode(), None)
        public = private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        known = {
            "aws": {KEYS.access_key: KEYS.secret_key},
            "llama": ["the key"],
            "google": {world.key_file["client_email"]: public.decode()},
        }
        await world.control("credentials", known)
        await world.tokens.refresh()
        yield world
    await runner.cleanup()


@every_provider
async def test_a_question_is_answered(world: World, provider: str) -> None:
    completion = await world.ask(provider)
    assert completion.text == f"{MODELS[provider]} on {provider} (simulated) heard: Grüß Gott"
    assert completion.finish_reason is FinishReason.STOP
    assert completion.usage.input_tokens > 0
    assert completion.usage.output_tokens > 0
    assert not completion.usage.estimated


@every_provider
async def test_a_long_conversation_with_images_and_tools_is_accepted(world: World, provider: str) -> None:
    completion = await world.ask(provider, LONG)
    assert completion.text.endswith("Hello?")


@every_provider
@pytest.mark.parametrize(
    "choice", [ToolChoice(ToolChoiceMode.REQUIRED), ToolChoice(ToolChoiceMode.NAMED, "weather")]
)
async def test_a_demanded_tool_is_called(world: World, provider: str, choice: ToolChoice) -> None:
    completion = await world.ask(provider, msgspec.structs.replace(LONG, tool_choice=choice))
    assert completion.finish_reason is FinishReason.TOOL_CALLS
    assert [(call.name, call.arguments_json) for call in completion.tool_calls] == [
        ("weather", '{"city":"example"}')
    ]


@every_provider
async def test_a_forbidden_tool_is_not_called(world: World, provider: str) -> None:
    request = msgspec.structs.replace(LONG, tool_choice=ToolChoice(ToolChoiceMode.NONE))
    assert (await world.ask(provider, request)).tool_calls == ()


@every_provider
async def test_a_set_answer_arrives_with_its_parallel_calls_and_usage(world: World, provider: str) -> None:
    answer = {
        "text": "Two calls.",
        "tool_calls": [{"name": "a", "arguments": {"x": 1}, "id": "one"}, {"name": "b", "id": "two"}],
        "usage": {"input_tokens": 90, "output_tokens": 30, "cached_input_tokens": 40},
    }
    await world.control(provider, {"answer": answer})
    assert await world.ask(provider) == Completion(
        text="Two calls.",
        finish_reason=FinishReason.TOOL_CALLS,
        usage=Usage(input_tokens=90, output_tokens=30, cached_input_tokens=40),
        tool_calls=(ToolCall("one", "a", '{"x":1}'), ToolCall("two", "b", "{}")),
    )


@every_provider
@pytest.mark.parametrize("reason", list(FinishReason))
async def test_finish_reasons_survive(world: World, provider: str, reason: FinishReason) -> None:
    calls = [{"name": "a"}] if reason is FinishReason.TOOL_CALLS else []
    await world.control(
        provider, {"answer": {"text": "x", "finish_reason": reason.value, "tool_calls": calls}}
    )
    assert (await world.ask(provider)).finish_reason is reason


@every_provider
async def test_an_answer_without_usage_is_estimated(world: World, provider: str) -> None:
    await world.control(provider, {"answer": {"text": "Hello", "usage": None}})
    usage = (await world.ask(provider)).usage
    assert usage.estimated
    assert usage.input_tokens > 0


@every_provider
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, FailureKind.INVALID_REQUEST),
        (403, FailureKind.AUTHENTICATION),
        (404, FailureKind.UNSUPPORTED),
        (429, FailureKind.RATE_LIMITED),
        (500, FailureKind.OVERLOADED),
        (503, FailureKind.OVERLOADED),
    ],
)
async def test_errors_are_told_apart(world: World, provider: str, status: int, kind: FailureKind) -> None:
    fault = {"kind": "status", "status": status, "headers": {"retry-after": "3"}}
    await world.control(provider, {"fault": fault})
    failure = await world.failure(provider)
    assert (failure.kind, failure.status, failure.retry_after_s) == (kind, status, 3.0)


@every_provider
@pytest.mark.parametrize("fault", ["garbage", "content_type"])
async def test_unreadable_answers_are_protocol_failures(world: World, provider: str, fault: str) -> None:
    await world.control(provider, {"fault": {"kind": fault}})
    assert (await world.failure(provider)).kind is FailureKind.PROTOCOL


@every_provider
async def test_a_slow_answer_is_still_an_answer(world: World, provider: str) -> None:
    await world.control(provider, {"fault": {"kind": "slow", "after_bytes": 100, "pause_ms": 5}})
    assert (await world.ask(provider)).text.endswith("Grüß Gott")


async def test_a_wrong_secret_key_is_found_by_the_signature(world: World) -> None:
    wrong = ReadOnlyCredentials(KEYS.access_key, "another secret", None)
    world.adapters["bedrock"] = BedrockAdapter("eu-central-1", world.base, lambda: wrong)
    failure = await world.failure("bedrock")
    assert failure.kind is FailureKind.AUTHENTICATION
    assert "InvalidSignatureException" in failure.message


async def test_a_stale_signature_is_refused(world: World) -> None:
    world.adapters["bedrock"] = BedrockAdapter("eu-central-1", world.base, lambda: KEYS, now_s=lambda: 1e9)
    assert (await world.failure("bedrock")).kind is FailureKind.AUTHENTICATION


@pytest.mark.parametrize(
    ("provider", "adapter"),
    [
        ("google", lambda base: GoogleAdapter(base, "p", "eu", lambda: "no such token")),
        ("llama", lambda base: LlamaAdapter(f"{base}/llama/v1", lambda: "another key")),
    ],
)
async def test_a_wrong_key_is_refused(world: World, provider: str, adapter: Callable[[str], Adapter]) -> None:
    world.adapters[provider] = adapter(world.base)
    assert (await world.failure(provider)).kind is FailureKind.AUTHENTICATION


async def test_a_key_file_of_another_account_gets_no_token(world: World) -> None:
    forged = generated_service_account(f"{world.base}/token")
    with pytest.raises(ProviderError) as refused:
        await GoogleTokens(lambda: forged, world.send).refresh()
    assert refused.value.kind is FailureKind.AUTHENTICATION


async def test_what_the_provider_would_refuse_the_simulation_refuses(world: World) -> None:
    refused: dict[str, tuple[str, dict[str, Any]]] = {
        "bedrock": ("/model/m/converse", {"messages": [{"role": "user", "content": "text"}]}),
        "llama": ("/llama/v1/chat/completions", {"model": "m", "messages": [{"role": "user"}]}),
        "google": ("/v1/projects/p/locations/eu/publishers/google/models/m:generateContent", {"contents": 5}),
    }
    for provider, (path, body) in refused.items():
        prepared = world.adapters[provider].prepare(HELLO, MODELS[provider])
        headers = {"authorization": "Bearer x"} if provider == "bedrock" else prepared.headers
        async with world.client.post(world.base + path, json=body, headers=headers) as answer:
            assert answer.status == 400, provider


async def test_many_requests_at_once_are_each_answered(world: World) -> None:
    questions = [
        msgspec.structs.replace(HELLO, messages=(Message(Role.USER, (Text(f"question {n}"),)),))
        for n in range(20)
    ]
    answers = await asyncio.gather(*(world.ask(name, each) for each in questions for name in MODELS))
    for index, answer in enumerate(answers):
        assert answer.text.endswith(f"question {index // 3}")
