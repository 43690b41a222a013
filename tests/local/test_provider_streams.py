"""The simulated providers' streams, read by the vendors' own SDK clients and by the gateway's decoders."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import boto3
import botocore.exceptions
import google.genai
import google.oauth2.credentials
import httpx
import openai
import pytest
from botocore.config import Config
from google.genai import types

from gateway.model import Finished, Message, Request, Role, StreamEvent, Text, TextDelta, Tool
from gateway.providers.adapter import Adapter, FailureKind, ProviderError
from gateway.providers.bedrock import BedrockAdapter
from gateway.providers.google import GoogleAdapter
from gateway.providers.google_tokens import service_account, token_request
from gateway.providers.llama import LlamaAdapter
from local.providers.credentials import generated_service_account
from local.providers.server import serve

PROVIDERS = ("bedrock", "google", "llama")
TEXT = "Streams flow word by word."
REQUEST = Request("req_1", (Message(Role.USER, (Text("Good day"),)),))
SCHEMA: dict[str, object] = {"type": "object", "properties": {"city": {"type": "string"}}}


@pytest.fixture
async def base() -> AsyncIterator[str]:
    runner, port = await serve(0)
    yield f"http://127.0.0.1:{port}"
    await runner.cleanup()


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as client:
        yield client


@pytest.fixture
async def google_token(base: str, client: aiohttp.ClientSession) -> str:
    """Any assertion will do while no account is registered."""
    account = service_account(generated_service_account(f"{base}/token"))
    asked = token_request(account, time.time())
    async with client.post(asked.url, headers=asked.headers, data=asked.body) as told:
        return str((await told.json())["access_token"])


@pytest.fixture
def adapters(base: str, google_token: str) -> dict[str, Adapter]:
    session = boto3.Session("AKIDTEST", "secret", region_name="eu-central-1")
    credentials = session.get_credentials()
    assert credentials is not None
    frozen = credentials.get_frozen_credentials()
    return {
        "bedrock": BedrockAdapter("eu-central-1", base, lambda: frozen),
        "google": GoogleAdapter(base, "p", "eu", lambda: google_token),
        "llama": LlamaAdapter(f"{base}/llama/v1", lambda: "key"),
    }


async def behave(client: aiohttp.ClientSession, base: str, provider: str, **behaviour: object) -> None:
    async with client.put(f"{base}/_control/{provider}", json=behaviour) as put:
        assert put.status < 300, await put.text()


async def streamed(
    client: aiohttp.ClientSession, adapter: Adapter, request: Request = REQUEST
) -> tuple[list[StreamEvent], int]:
    """What the gateway's decoder reads, and how many events it skipped."""
    call = adapter.prepare_stream(request, "eu.anthropic.claude-v1:0")
    decoder = adapter.stream_decoder(request)
    events: list[StreamEvent] = []
    async with client.post(call.url, headers=call.headers, data=call.body) as answer:
        assert answer.status == 200, await answer.text()
        async for piece in answer.content.iter_any():
            events += decoder.feed(piece)
    return events + decoder.end(), decoder.skipped


@pytest.mark.parametrize("provider", PROVIDERS)
class TestThroughTheGatewaysDecoders:
    async def test_text_comes_word_by_word(
        self, base: str, client: aiohttp.ClientSession, adapters: dict[str, Adapter], provider: str
    ) -> None:
        await behave(client, base, provider, answer={"text": TEXT})
        events, _ = await streamed(client, adapters[provider])
        said = [event.text for event in events if isinstance(event, TextDelta)]
        assert "".join(said) == TEXT
        assert len(said) == 5
        assert isinstance(events[-1], Finished)
        assert not events[-1].usage.estimated

    async def test_events_keep_the_distance_that_is_asked_for(
        self, base: str, client: aiohttp.ClientSession, adapters: dict[str, Adapter], provider: str
    ) -> None:
        await behave(client, base, provider, answer={"text": TEXT}, event_pause_ms=20)
        begun = time.monotonic()
        await streamed(client, adapters[provider])
        assert time.monotonic() - begun >= 0.1

    async def test_a_tool_is_called(
        self, base: str, client: aiohttp.ClientSession, adapters: dict[str, Adapter], provider: str
    ) -> None:
        call = {"name": "forecast", "arguments": {"city": "Halle (Saale)"}}
        await behave(client, base, provider, answer={"tool_calls": [call, call]})
        tools = (Tool("forecast", parameters=SCHEMA),)
        request = Request("req_1", REQUEST.messages, tools=tools)
        events, _ = await streamed(client, adapters[provider], request)
        kinds = [type(event).__name__ for event in events]
        assert kinds.count("ToolCallStart") == 2
        assert kinds.count("ToolCallArguments") >= 2

    async def test_usage_may_be_left_out(
        self, base: str, client: aiohttp.ClientSession, adapters: dict[str, Adapter], provider: str
    ) -> None:
        await behave(client, base, provider, answer={"text": TEXT, "usage": None})
        events, _ = await streamed(client, adapters[provider])
        assert isinstance(events[-1], Finished)
        assert events[-1].usage.estimated

    @pytest.mark.parametrize(
        ("fault", "kind"),
        [
            ("error_event", FailureKind.RATE_LIMITED),
            ("oversize_event", FailureKind.PROTOCOL),
            ("no_end", FailureKind.PROTOCOL),
            ("garbage", FailureKind.PROTOCOL),
        ],
    )
    async def test_faults_inside_of_the_stream_are_told_apart(
        self,
        base: str,
        client: aiohttp.ClientSession,
        adapters: dict[str, Adapter],
        provider: str,
        fault: str,
        kind: FailureKind,
    ) -> None:
        await behave(client, base, provider, answer={"text": TEXT}, fault={"kind": fault})
        with pytest.raises(ProviderError) as failed:
            await streamed(client, adapters[provider])
        assert failed.value.kind is kind

    async def test_a_garbage_event_is_one_that_is_skipped(
        self, base: str, client: aiohttp.ClientSession, adapters: dict[str, Adapter], provider: str
    ) -> None:
        await behave(client, base, provider, answer={"text": TEXT}, fault={"kind": "garbage_event"})
        events, skipped = await streamed(client, adapters[provider])
        assert "".join(event.text for event in events if isinstance(event, TextDelta)) == TEXT
        assert skipped == 1

    async def test_a_cut_breaks_the_connection(
        self, base: str, client: aiohttp.ClientSession, adapters: dict[str, Adapter], provider: str
    ) -> None:
        await behave(client, base, provider, answer={"text": TEXT}, fault={"kind": "cut"})
        with pytest.raises(aiohttp.ClientPayloadError):
            await streamed(client, adapters[provider])

    async def test_a_stall_stays_open(
        self, base: str, client: aiohttp.ClientSession, adapters: dict[str, Adapter], provider: str
    ) -> None:
        await behave(client, base, provider, answer={"text": TEXT}, fault={"kind": "stall"})
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(streamed(client, adapters[provider]), 0.3)


class TestThroughTheVendorsClients:
    @staticmethod
    def bedrock(base: str) -> Any:  # noqa: ANN401
        return boto3.client(
            "bedrock-runtime",
            region_name="eu-central-1",
            endpoint_url=base,
            aws_access_key_id="AKIDTEST",
            aws_secret_access_key="secret",
            config=Config(retries={"total_max_attempts": 1}),
        )

    async def test_boto3_reads_converse_stream(self, base: str, client: aiohttp.ClientSession) -> None:
        await behave(client, base, "bedrock", answer={"text": TEXT})

        def call() -> list[dict[str, Any]]:
            bedrock = self.bedrock(base)
            try:
                messages = [{"role": "user", "content": [{"text": "Hello"}]}]
                return list(bedrock.converse_stream(modelId="eu.anthropic.v1:0", messages=messages)["stream"])
            finally:
                bedrock.close()

        events = await asyncio.to_thread(call)
        deltas = [
            each["contentBlockDelta"]["delta"]["text"] for each in events if "contentBlockDelta" in each
        ]
        assert "".join(deltas) == TEXT
        assert [next(iter(each)) for each in events][-2:] == ["messageStop", "metadata"]

    async def test_boto3_knows_the_failure_in_between(self, base: str, client: aiohttp.ClientSession) -> None:
        await behave(client, base, "bedrock", answer={"text": TEXT}, fault={"kind": "error_event"})

        def call() -> None:
            bedrock = self.bedrock(base)
            try:
                messages = [{"role": "user", "content": [{"text": "Hello"}]}]
                answer = bedrock.converse_stream(modelId="eu.anthropic.v1:0", messages=messages)
                # A stream that fails in between keeps its connection: the client does not close it.
                with contextlib.closing(answer["stream"]) as stream:
                    list(stream)
            finally:
                bedrock.close()

        with pytest.raises(botocore.exceptions.EventStreamError, match="throttlingException"):
            await asyncio.to_thread(call)

    async def test_google_genai_reads_the_stream(
        self, base: str, client: aiohttp.ClientSession, google_token: str
    ) -> None:
        await behave(client, base, "google", answer={"text": TEXT})

        pool = httpx.AsyncClient()
        genai = google.genai.Client(
            vertexai=True,
            project="p",
            location="eu",
            credentials=google.oauth2.credentials.Credentials(token=google_token),  # type: ignore[no-untyped-call]
            http_options=types.HttpOptions(
                base_url=base,
                api_version="v1",
                httpx_async_client=pool,
                retry_options=types.HttpRetryOptions(attempts=1),
            ),
        )
        async with pool:
            stream = await genai.aio.models.generate_content_stream(
                model="gemini-2.5-flash", contents="Hello"
            )
            chunks = [chunk async for chunk in stream]
        genai.close()
        assert "".join(chunk.text or "" for chunk in chunks) == TEXT
        assert chunks[-1].usage_metadata is not None

    @pytest.mark.parametrize("include_usage", [True, False])
    async def test_openai_reads_the_stream(
        self, base: str, client: aiohttp.ClientSession, include_usage: bool
    ) -> None:
        await behave(client, base, "llama", answer={"text": TEXT})
        async with openai.AsyncOpenAI(base_url=f"{base}/llama/v1", api_key="key", max_retries=0) as llama:
            stream = await llama.chat.completions.create(
                model="m",
                messages=[{"role": "user", "content": "Hello"}],
                stream=True,
                stream_options={"include_usage": include_usage},
            )
            chunks = [chunk async for chunk in stream]
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == TEXT
        assert any(chunk.usage is not None for chunk in chunks) is include_usage
