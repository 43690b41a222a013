"""The official client sees an OpenAI endpoint."""

from __future__ import annotations

import json

import openai
import pytest
from openai.types.chat import (
    ChatCompletionFunctionToolParam,
    ChatCompletionMessageFunctionToolCall,
    ChatCompletionMessageParam,
)

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


WEATHER: ChatCompletionFunctionToolParam = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a town",
        "parameters": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
    },
}


async def test_the_official_client_gets_a_completion(gateway: Gateway, upstreams: Upstreams) -> None:
    upstreams.google.text = "A recipe."
    async with gateway.openai() as client:
        completion = await client.chat.completions.create(
            model="auto",
            messages=[{"role": "user", "content": "How do I bake bread?"}],
            extra_headers={"x-domain": "culinary"},
        )
    assert completion.choices[0].message.content == "A recipe."
    assert completion.choices[0].finish_reason == "stop"
    assert completion.model == "gemini-2.5-flash"
    assert completion.usage is not None
    assert (
        completion.usage.total_tokens
        == completion.usage.prompt_tokens + completion.usage.completion_tokens
        == 18
    )
    assert completion.object == "chat.completion"


@pytest.mark.parametrize("model", ["claude-haiku-4-5", "gemini-2.5-pro"])
async def test_a_tool_call_travels_both_ways(gateway: Gateway, upstreams: Upstreams, model: str) -> None:
    upstreams.bedrock.tool = upstreams.google.tool = ("weather", {"town": "Bonn"})
    async with gateway.openai() as client:
        messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Weather in Bonn?"}]
        asked = await client.chat.completions.create(model=model, messages=messages, tools=[WEATHER])
        assert asked.choices[0].finish_reason == "tool_calls"
        assert asked.choices[0].message.content is None
        calls = asked.choices[0].message.tool_calls
        assert calls is not None
        assert isinstance(calls[0], ChatCompletionMessageFunctionToolCall)
        assert calls[0].function.name == "weather"
        assert json.loads(calls[0].function.arguments) == {"town": "Bonn"}

        upstreams.bedrock.tool = upstreams.google.tool = None
        messages.append(asked.choices[0].message.model_dump(exclude_none=True))  # type: ignore[arg-type]
        messages.append({"role": "tool", "tool_call_id": calls[0].id, "content": "rain"})
        told = await client.chat.completions.create(model=model, messages=messages, tools=[WEATHER])
    assert told.choices[0].message.content == "Good day."


async def test_the_answer_says_who_answered_by_which_policy(gateway: Gateway) -> None:
    reply = await gateway.post(
        "/v1/chat/completions",
        {"model": "claude-haiku-4-5", "messages": [{"role": "user", "content": "hello"}]},
    )
    assert reply.status == 200
    assert reply.headers["x-route-model"] == "bedrock#claude-haiku-4-5@2026-11-01"
    assert reply.headers["x-route-policy"] == "default@2026-11-01"
    assert reply.headers["x-route-attempts"] == "1"
    assert int(reply.headers["x-cost-eur-micro"]) == -(-(11 * 946_000 + 7 * 4_730_000) // 1_000_000)
    assert reply.headers["x-request-id"].startswith("req_")


async def test_the_client_lists_the_models_it_may_name(gateway: Gateway) -> None:
    async with gateway.openai() as client:
        names = [model.id async for model in client.models.list()]
    assert "auto" in names
    assert {"claude-haiku-4-5", "claude-sonnet-4-5", "gemini-2.5-pro", "llama-3.3-70b-instruct"} <= set(names)


async def test_the_client_raises_its_own_errors(gateway: Gateway) -> None:
    async with gateway.openai("wrong") as client:
        with pytest.raises(openai.AuthenticationError) as refused:
            await client.models.list()
        assert refused.value.code == "invalid_api_key"
    async with gateway.openai() as client:
        with pytest.raises(openai.NotFoundError) as unknown:
            await client.chat.completions.create(model="gpt-9", messages=[{"role": "user", "content": "hi"}])
    assert unknown.value.code == "model_not_found"
    assert unknown.value.param == "model"


async def test_sampling_reaches_the_provider(gateway: Gateway, upstreams: Upstreams) -> None:
    async with gateway.openai() as client:
        await client.chat.completions.create(
            model="claude-haiku-4-5",
            messages=[{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "hi"}],
            max_completion_tokens=77,
            temperature=0.5,
            stop=["END"],
        )
    sent = upstreams.bedrock.requests[0]
    assert sent["inferenceConfig"] == {"maxTokens": 77, "temperature": 0.5, "stopSequences": ["END"]}
    assert sent["system"] == [{"text": "Be brief."}]


async def test_more_output_than_the_model_has_is_asked_for_as_its_maximum(
    gateway: Gateway, upstreams: Upstreams
) -> None:
    await gateway.post(
        "/v1/chat/completions",
        {"model": "claude-haiku-4-5", "max_tokens": 100_000, "messages": [{"role": "user", "content": "x"}]},
    )
    assert upstreams.bedrock.requests[0]["inferenceConfig"] == {"maxTokens": 64_000}


async def test_an_image_in_the_request_reaches_a_model_that_sees(
    gateway: Gateway, upstreams: Upstreams
) -> None:
    reply = await gateway.post(
        "/v1/chat/completions",
        {
            "model": "claude-haiku-4-5",
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "What is this?"},
                        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
                    ],
                }
            ],
        },
    )
    assert reply.status == 200
    assert "image" in json.dumps(upstreams.bedrock.requests[0])


async def test_unknown_fields_are_ignored_as_openai_ignores_them(gateway: Gateway) -> None:
    reply = await gateway.post(
        "/v1/chat/completions",
        {
            "messages": [{"role": "user", "content": "hi"}],
            "seed": 1,
            "frequency_penalty": 0.1,
            "never_heard_of": [],
        },
    )
    assert reply.status == 200
