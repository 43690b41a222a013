"""The simulated providers, driven by the vendors' own SDK clients."""

from __future__ import annotations

import asyncio
import functools
import json
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import boto3
import botocore.exceptions
import google.auth.transport.requests
import google.genai
import google.oauth2.credentials
import jsonschema_rs
import openai
import pytest
import requests
from botocore.config import Config
from google.genai import errors, types
from google.oauth2 import service_account
from hypothesis import given, settings
from hypothesis import strategies as st

from local.providers.aws_shapes import complaints, converse
from local.providers.bedrock import Bedrock
from local.providers.credentials import generated_service_account
from local.providers.exchange import Asked, Reply, ToolCall, Usage
from local.providers.google import Google
from local.providers.llama import Llama
from local.providers.schema_example import example
from local.providers.server import serve

ROOT = Path(__file__).resolve().parents[2]
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 2}},
    "required": ["city", "days"],
}
PATHS = {
    "bedrock": "/model/m/converse",
    "google": "/v1/projects/p/locations/eu/publishers/google/models/m:generateContent",
    "llama": "/llama/v1/chat/completions",
}
SECRET_KEY = "known to both sides"


class Simulation:
    """A running simulation and an HTTP client for it."""

    def __init__(self, base: str, client: aiohttp.ClientSession) -> None:
        self.base = base
        self.client = client

    async def put(self, path: str, body: object) -> int:
        async with self.client.put(f"{self.base}/_control/{path}", json=body) as answer:
            return answer.status

    async def delete(self, path: str = "") -> None:
        async with self.client.delete(f"{self.base}/_control{path}") as answer:
            assert answer.status == 204

    async def get(self, path: str = "", **query: str) -> Any:  # noqa: ANN401
        async with self.client.get(f"{self.base}/_control{path}", params=query) as answer:
            return await answer.json()

    async def post(self, provider: str = "llama", *, model: str = "m", key: str = "k") -> int:
        """The status of a plain call; 401 and 403 where credentials are missing."""
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
        headers = {"authorization": f"Bearer {key}"}
        async with self.client.post(self.base + PATHS[provider], json=body, headers=headers) as answer:
            await answer.read()
            return answer.status


@pytest.fixture
async def simulation() -> AsyncIterator[Simulation]:
    runner, port = await serve(0)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as client:
        yield Simulation(f"http://127.0.0.1:{port}", client)
    await runner.cleanup()


class TestThroughBoto3:
    @staticmethod
    async def converse(simulation: Simulation, secret_key: str = SECRET_KEY, **arguments: Any) -> Any:  # noqa: ANN401
        def call() -> Any:  # noqa: ANN401
            client = boto3.client(
                "bedrock-runtime",
                region_name="eu-central-1",
                endpoint_url=simulation.base,
                aws_access_key_id="AKIDTEST",
                aws_secret_access_key=secret_key,
                config=Config(retries={"total_max_attempts": 1}),
            )
            messages = [{"role": "user", "content": [{"text": "Hello"}]}]
            try:
                return client.converse(
                    **{"modelId": "eu.anthropic.claude-v1:0", "messages": messages} | arguments
                )
            finally:
                client.close()

        return await asyncio.to_thread(call)

    async def test_it_answers(self, simulation: Simulation) -> None:
        await simulation.put("credentials", {"aws": {"AKIDTEST": SECRET_KEY}})
        answer = await self.converse(simulation)
        assert answer["output"]["message"]["content"] == [
            {"text": "eu.anthropic.claude-v1:0 on bedrock (simulated) heard: Hello"}
        ]
        assert answer["stopReason"] == "end_turn"
        assert (
            answer["usage"]["totalTokens"] == answer["usage"]["inputTokens"] + answer["usage"]["outputTokens"]
        )

    async def test_it_calls_the_tool_that_is_demanded(self, simulation: Simulation) -> None:
        tools = [{"toolSpec": {"name": "forecast", "inputSchema": {"json": SCHEMA}}}]
        configuration = {"tools": tools, "toolChoice": {"tool": {"name": "forecast"}}}
        answer = await self.converse(simulation, toolConfig=configuration)
        use = answer["output"]["message"]["content"][0]["toolUse"]
        assert answer["stopReason"] == "tool_use"
        assert jsonschema_rs.is_valid(SCHEMA, use["input"])

    async def test_a_wrong_secret_is_refused(self, simulation: Simulation) -> None:
        await simulation.put("credentials", {"aws": {"AKIDTEST": SECRET_KEY}})
        with pytest.raises(botocore.exceptions.ClientError) as refused:
            await self.converse(simulation, secret_key="wrong")
        assert refused.value.response["Error"]["Code"] == "InvalidSignatureException"

    @pytest.mark.parametrize(
        ("arguments", "complaint"),
        [
            (
                {"messages": [{"role": "assistant", "content": [{"text": "Hi"}]}]},
                "must start with a user message",
            ),
            ({"messages": [{"role": "user", "content": [{"text": " "}]}]}, "is blank"),
            ({"messages": [{"role": "user", "content": []}]}, "is empty"),
            ({"inferenceConfig": {"temperature": 1.5}}, "is not within"),
            ({"modelId": "no spaces"}, "does not match"),
        ],
    )
    async def test_what_aws_refuses_is_a_validation_exception(
        self, simulation: Simulation, arguments: dict[str, Any], complaint: str
    ) -> None:
        with pytest.raises(botocore.exceptions.ClientError, match=complaint) as refused:
            await self.converse(simulation, **arguments)
        assert refused.value.response["Error"]["Code"] == "ValidationException"

    @pytest.mark.parametrize("status", [400, 403, 404, 408, 424, 429, 500, 503])
    async def test_errors_are_the_exceptions_of_the_service_model(
        self, simulation: Simulation, status: int
    ) -> None:
        await simulation.put("bedrock", {"fault": {"kind": "status", "status": status}})
        with pytest.raises(botocore.exceptions.ClientError) as refused:
            await self.converse(simulation)
        code = refused.value.response["Error"]["Code"]
        known = {shape.name: shape.metadata["error"]["httpStatusCode"] for shape in converse().error_shapes}
        assert known[code] == status


class TestThroughGoogleGenai:
    @staticmethod
    async def generate(simulation: Simulation, **arguments: Any) -> types.GenerateContentResponse:  # noqa: ANN401
        token = await _access_token(simulation)
        client = google.genai.Client(
            vertexai=True,
            project="p",
            location="eu",
            credentials=google.oauth2.credentials.Credentials(token=token),  # type: ignore[no-untyped-call]
            http_options=types.HttpOptions(
                base_url=simulation.base,
                api_version="v1",
                retry_options=types.HttpRetryOptions(attempts=1),
            ),
        )
        try:
            return await asyncio.to_thread(
                client.models.generate_content, **{"model": "gemini-3-pro", "contents": "Hello"} | arguments
            )
        finally:
            client.close()

    async def test_it_answers(self, simulation: Simulation) -> None:
        answer = await self.generate(simulation)
        assert answer.text == "gemini-3-pro on google (simulated) heard: Hello"
        assert answer.usage_metadata is not None
        assert answer.usage_metadata.prompt_token_count

    async def test_it_calls_the_tool_that_is_demanded(self, simulation: Simulation) -> None:
        declaration = types.FunctionDeclaration(name="forecast", parameters_json_schema=SCHEMA)
        calling = types.FunctionCallingConfig(
            mode=types.FunctionCallingConfigMode.ANY, allowed_function_names=["forecast"]
        )
        configuration = types.GenerateContentConfig(
            tools=[types.Tool(function_declarations=[declaration])],
            tool_config=types.ToolConfig(function_calling_config=calling),
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        )
        answer = await self.generate(simulation, config=configuration)
        assert answer.function_calls
        assert jsonschema_rs.is_valid(SCHEMA, answer.function_calls[0].args)

    @pytest.mark.parametrize(
        ("status", "named"), [(400, "INVALID_ARGUMENT"), (429, "RESOURCE_EXHAUSTED"), (503, "UNAVAILABLE")]
    )
    async def test_errors_carry_googles_status(self, simulation: Simulation, status: int, named: str) -> None:
        await simulation.put("google", {"fault": {"kind": "status", "status": status}})
        with pytest.raises(errors.APIError) as refused:
            await self.generate(simulation)
        assert (refused.value.code, refused.value.status) == (status, named)

    async def test_an_invalid_role_is_refused(self, simulation: Simulation) -> None:
        contents = [types.Content(role="assistant", parts=[types.Part(text="Hi")])]
        with pytest.raises(errors.ClientError, match="valid role"):
            await self.generate(simulation, contents=contents)


class TestThroughOpenai:
    @staticmethod
    async def complete(simulation: Simulation, key: str = "k", **arguments: Any) -> Any:  # noqa: ANN401
        base = f"{simulation.base}/llama/v1"
        async with openai.AsyncOpenAI(base_url=base, api_key=key, max_retries=0) as client:
            messages = [{"role": "user", "content": "Hello"}]
            return await client.chat.completions.create(
                **{"model": "llama-3.3", "messages": messages} | arguments
            )

    async def test_it_answers(self, simulation: Simulation) -> None:
        answer = await self.complete(simulation)
        assert answer.choices[0].message.content == "llama-3.3 on llama (simulated) heard: Hello"
        assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens

    async def test_it_calls_the_tool_that_is_demanded(self, simulation: Simulation) -> None:
        tools = [{"type": "function", "function": {"name": "forecast", "parameters": SCHEMA}}]
        answer = await self.complete(simulation, tools=tools, tool_choice="required")
        assert answer.choices[0].finish_reason == "tool_calls"
        call = answer.choices[0].message.tool_calls[0]
        assert jsonschema_rs.is_valid(SCHEMA, json.loads(call.function.arguments))

    async def test_max_tokens_and_stop_end_the_answer(self, simulation: Simulation) -> None:
        short = await self.complete(simulation, max_tokens=3)
        assert short.choices[0].finish_reason == "length"
        assert short.usage.completion_tokens <= 3
        stopped = await self.complete(simulation, stop=["heard"])
        assert stopped.choices[0].message.content == "llama-3.3 on llama (simulated) "

    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (400, openai.BadRequestError),
            (401, openai.AuthenticationError),
            (404, openai.NotFoundError),
            (429, openai.RateLimitError),
            (503, openai.InternalServerError),
        ],
    )
    async def test_errors_are_the_sdks_exceptions(
        self, simulation: Simulation, status: int, kind: type[openai.APIStatusError]
    ) -> None:
        await simulation.put("llama", {"fault": {"kind": "status", "status": status, "message": "as told"}})
        with pytest.raises(kind, match="as told"):
            await self.complete(simulation)

    @pytest.mark.parametrize(
        "arguments",
        [
            {"messages": []},
            {"messages": [{"role": "user"}]},
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            {"messages": [{"role": "tool", "content": "x", "tool_call_id": "nobody asked"}]},
            {"tool_choice": "required"},
            {"extra_body": {"temprature": 1}},
            {"temperature": "warm"},
        ],
    )
    async def test_what_openai_refuses_is_a_bad_request(
        self, simulation: Simulation, arguments: dict[str, Any]
    ) -> None:
        with pytest.raises(openai.BadRequestError):
            await self.complete(simulation, **arguments)

    async def test_a_registered_key_is_the_only_one_accepted(self, simulation: Simulation) -> None:
        await simulation.put("credentials", {"llama": ["right"]})
        await self.complete(simulation, key="right")
        with pytest.raises(openai.AuthenticationError):
            await self.complete(simulation, key="wrong")


replies = st.builds(
    Reply,
    st.text(max_size=20),
    st.sampled_from(["stop", "length", "content_filter"]),
    st.builds(Usage, st.integers(5, 100), st.integers(5, 100), st.integers(0, 5), st.integers(0, 5)),
    st.lists(st.builds(ToolCall, st.just("f"), st.just({"x": 1}), st.none() | st.just("id")), max_size=2).map(
        tuple
    ),
)


class TestAnswersAreOfTheVendorsTypes:
    asked = Asked(model="m", last_user_text="hi", prompt_bytes=10)

    @settings(max_examples=50, deadline=None, derandomize=True, database=None)
    @given(replies)
    def test_bedrock(self, reply: Reply) -> None:
        shape = converse().output_shape
        assert shape is not None
        assert complaints(Bedrock().write(self.asked, reply), shape) == []

    @settings(max_examples=50, deadline=None, derandomize=True, database=None)
    @given(replies)
    def test_google(self, reply: Reply) -> None:
        types.GenerateContentResponse.model_validate(Google().write(self.asked, reply))

    @settings(max_examples=50, deadline=None, derandomize=True, database=None)
    @given(replies)
    def test_llama(self, reply: Reply) -> None:
        openai.types.chat.ChatCompletion.model_validate(Llama().write(self.asked, reply), strict=True)


class TestControl:
    async def test_a_fault_lasts_for_as_many_requests_as_told(self, simulation: Simulation) -> None:
        await simulation.put("llama", {"times": 2, "fault": {"kind": "status", "status": 503}})
        assert [await simulation.post() for _ in range(3)] == [503, 503, 200]

    async def test_a_fault_without_end_lasts_until_it_is_cleared(self, simulation: Simulation) -> None:
        await simulation.put("llama", {"fault": {"kind": "status", "status": 503}})
        assert [await simulation.post() for _ in range(3)] == [503] * 3
        await simulation.delete("/llama")
        assert await simulation.post() == 200

    async def test_a_models_setting_comes_before_its_providers(self, simulation: Simulation) -> None:
        await simulation.put("llama", {"fault": {"kind": "status", "status": 503}})
        await simulation.put("llama/models/meta%2Fllama:70b", {"fault": {"kind": "status", "status": 429}})
        assert await simulation.post(model="meta/llama:70b") == 429
        assert await simulation.post(model="another") == 503
        assert await simulation.post("bedrock") != 503

    async def test_settings_are_listed_and_cleared(self, simulation: Simulation) -> None:
        await simulation.put("google", {"times": 3, "latency_ms": 1})
        listed = await simulation.get()
        assert [(each["provider"], each["model"], each["left"]) for each in listed] == [("google", None, 3)]
        await simulation.delete()
        assert await simulation.get() == []

    @pytest.mark.parametrize(
        ("path", "body", "status"),
        [("llama", {"latency": 5}, 400), ("llama", {"fault": {"kind": "explode"}}, 400), ("nobody", {}, 404)],
    )
    async def test_a_mistyped_setting_is_refused(
        self, simulation: Simulation, path: str, body: dict[str, object], status: int
    ) -> None:
        assert await simulation.put(path, body) == status

    async def test_requests_are_remembered_with_the_judgement_and_without_secrets(
        self, simulation: Simulation
    ) -> None:
        await simulation.post("llama", key="top-secret")
        await simulation.post("bedrock")
        good, bad = await simulation.get("/requests")
        assert (good["provider"], good["model"], good["problem"]) == ("llama", "m", None)
        assert (bad["provider"], bad["problem"] is None) == ("bedrock", False)
        assert "top-secret" not in str([good, bad])
        assert len(await simulation.get("/requests", provider="llama")) == 1
        await simulation.delete("/requests")
        assert await simulation.get("/requests") == []

    async def test_what_is_remembered_is_bounded(self, simulation: Simulation) -> None:
        for _ in range(505):
            await simulation.post()
        assert len(await simulation.get("/requests")) == 500


class TestFaults:
    async def test_latency_delays_the_answer(self, simulation: Simulation) -> None:
        await simulation.put("llama", {"latency_ms": 120})
        begun = time.monotonic()
        assert await simulation.post() == 200
        assert time.monotonic() - begun >= 0.12

    async def test_a_hang_never_answers(self, simulation: Simulation) -> None:
        await simulation.put("llama", {"fault": {"kind": "hang"}})
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(simulation.post(), 0.2)

    @pytest.mark.parametrize(
        ("fault", "expected"),
        [
            ("reset", aiohttp.ClientOSError),
            ("close", aiohttp.ServerDisconnectedError),
            ("cut", aiohttp.ClientPayloadError),
        ],
    )
    async def test_broken_connections(
        self, simulation: Simulation, fault: str, expected: type[Exception]
    ) -> None:
        await simulation.put("llama", {"fault": {"kind": fault}})
        with pytest.raises(expected):
            await simulation.post()

    async def test_the_token_endpoint_has_faults_of_its_own(self, simulation: Simulation) -> None:
        await simulation.put("google-token", {"fault": {"kind": "status", "status": 503}})
        async with simulation.client.post(f"{simulation.base}/token") as answer:
            assert answer.status == 503


schemas = st.recursive(
    st.sampled_from(
        [
            {"type": "string"},
            {"type": "string", "minLength": 9, "maxLength": 12},
            {"type": "string", "format": "date"},
            {"type": ["integer", "null"], "minimum": 5},
            {"type": "integer", "exclusiveMinimum": 3, "multipleOf": 4},
            {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
            {"type": "number", "maximum": -2},
            {"type": "boolean"},
            {"enum": ["a", 1]},
            {"const": {"k": [1]}},
            {"anyOf": [{"type": "null"}, {"type": "string"}]},
            {"$ref": "#/$defs/named"},
            {},
        ]
    ),
    lambda inner: st.one_of(
        st.builds(lambda items: {"type": "array", "items": items, "minItems": 2}, inner),
        st.builds(
            lambda first, second: {
                "type": "object",
                "properties": {"first": first, "second": second},
                "required": ["first"],
                "additionalProperties": False,
            },
            inner,
            inner,
        ),
        st.builds(lambda one: {"allOf": [{"description": "d"}, one]}, inner),
    ),
    max_leaves=5,
)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(schemas)
def test_invented_arguments_satisfy_their_schema(schema: dict[str, Any]) -> None:
    whole = {
        "type": "object",
        "$defs": {"named": {"type": "integer", "minimum": 7}},
        "properties": {"value": schema},
        "required": ["value"],
    }
    assert jsonschema_rs.is_valid(whole, example(whole))


async def test_it_runs_as_a_process_of_its_own_and_ends_on_request() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "local.providers", "--port", "0", cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
    base = line.rsplit(" ", 1)[-1].strip()
    async with aiohttp.ClientSession() as client, client.get(f"{base}/_control") as answer:
        assert answer.status == 200
    process.terminate()
    assert await asyncio.wait_for(process.wait(), 10) == 0


def test_it_does_not_import_the_gateway() -> None:
    for path in (ROOT / "local" / "providers").glob("*.py"):
        assert "import gateway" not in path.read_text()
        assert "from gateway" not in path.read_text()


@functools.cache
def _key_file() -> dict[str, str]:
    return generated_service_account("")


async def _access_token(simulation: Simulation) -> str:
    """What google-auth itself gets from the token endpoint."""
    document = _key_file() | {"token_uri": f"{simulation.base}/token"}
    credentials = service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
        document, scopes=["https://www.googleapis.com/auth/cloud-platform"]
    )

    def refresh() -> None:
        with requests.Session() as session:
            credentials.refresh(google.auth.transport.requests.Request(session))

    await asyncio.to_thread(refresh)
    return str(credentials.token)
