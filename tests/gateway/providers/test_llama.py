"""The Llama adapter, held to the types of the openai and llama-api-client SDKs."""

from __future__ import annotations

import json

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_api_client.types import MessageParam
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletion, ChatCompletionMessage
from openai.types.chat.chat_completion import Choice
from openai.types.chat.chat_completion_message_function_tool_call import (
    ChatCompletionMessageFunctionToolCall,
    Function,
)
from openai.types.completion_usage import CompletionTokensDetails, PromptTokensDetails

from gateway.model import (
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
)
from gateway.providers.adapter import FailureKind, HttpResponse, ProviderError
from gateway.providers.llama import LlamaAdapter
from local.providers.llama import Llama
from tests.gateway.providers.conversations import (
    Json,
    calls_of,
    images_of,
    loaded,
    many,
    requests,
    results_of,
)

MODEL = "Llama-3.3-70B-Instruct"
HELLO = Request(id="r", messages=(Message(Role.USER, (Text("Hello"),)),))
WEATHER = Tool("weather", "Current weather", {"type": "object", "properties": {"city": {"type": "string"}}})

adapter = LlamaAdapter("https://llama.example/v1/", lambda: "key")


def body_of(request: Request) -> Json:
    return loaded(adapter.prepare(request, MODEL).body)


def answer(message: object = None, **changes: object) -> HttpResponse:
    body = {
        "choices": [{"index": 0, "message": message or {"content": "Hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    } | changes
    return HttpResponse(200, {"content-type": "application/json"}, json.dumps(body).encode())


class TestRequests:
    @many
    @given(requests())
    def test_every_conversation_is_one_that_openai_types_accept(self, request_: Request) -> None:
        Llama().read(MODEL, adapter.prepare(request_, MODEL).body)

    @many
    @given(requests())
    def test_every_message_is_one_that_llama_types_accept(self, request_: Request) -> None:
        judge = pydantic.TypeAdapter(MessageParam)
        for message in body_of(request_)["messages"]:
            validated = judge.validate_python(message)
            content = validated.get("content")
            assert content is None or isinstance(content, str) or list(content)

    @many
    @given(requests())
    def test_nothing_that_was_said_shown_or_called_is_lost(self, request_: Request) -> None:
        messages = body_of(request_)["messages"]
        assert [message["role"] for message in messages] == [
            message.role.value for message in request_.messages
        ]
        for sent, message in zip(messages, request_.messages, strict=True):
            content = sent["content"]
            if isinstance(content, list):
                content = "".join(part["text"] for part in content if part["type"] == "text")
            assert content == message.text
            if message.role is Role.USER:
                assert sent.get("name") == message.name
        calls = [call for message in messages for call in message.get("tool_calls", [])]
        assert [(call["id"], call["function"]["name"], call["function"]["arguments"]) for call in calls] == [
            (call.id, call.name, call.arguments_json or "{}") for call in calls_of(request_)
        ]
        results = {each["tool_call_id"]: each["content"] for each in messages if each["role"] == "tool"}
        assert results == results_of(request_)
        shown = sum(isinstance(each["content"], list) for each in messages)
        assert shown == len(images_of(request_))

    @pytest.mark.parametrize(
        ("choice", "expected"),
        [
            (ToolChoice(), "auto"),
            (ToolChoice(ToolChoiceMode.NONE), "none"),
            (ToolChoice(ToolChoiceMode.REQUIRED), "required"),
            (
                ToolChoice(ToolChoiceMode.NAMED, "weather"),
                {"type": "function", "function": {"name": "weather"}},
            ),
        ],
    )
    def test_tool_choice_is_said_in_openai_words(self, choice: ToolChoice, expected: object) -> None:
        body = body_of(msgspec.structs.replace(HELLO, tools=(WEATHER,), tool_choice=choice))
        assert body["tool_choice"] == expected
        assert body["tools"][0]["function"]["parameters"] == WEATHER.parameters

    def test_sampling_is_carried(self) -> None:
        body = body_of(msgspec.structs.replace(HELLO, sampling=Sampling(10, 1.7, 0.5, ("END",))))
        assert {name: body[name] for name in ("max_tokens", "temperature", "top_p", "stop")} == {
            "max_tokens": 10,
            "temperature": 1.7,
            "top_p": 0.5,
            "stop": ["END"],
        }

    def test_an_image_in_a_tool_result_is_for_another_provider(self) -> None:
        call = Message(Role.ASSISTANT, (), (ToolCall("a", "look", "{}"),))
        result = Message(Role.TOOL, (Image("image/png", b"x"),), tool_call_id="a")
        with pytest.raises(ProviderError) as refused:
            adapter.prepare(Request("r", (*HELLO.messages, call, result)), MODEL)
        assert refused.value.kind is FailureKind.UNSUPPORTED

    def test_without_a_key_nothing_is_sent(self) -> None:
        with pytest.raises(ProviderError) as refused:
            LlamaAdapter("https://x/v1", lambda: None).prepare(HELLO, MODEL)
        assert refused.value.kind is FailureKind.AUTHENTICATION


counts = st.integers(0, 10**6)
tool_calls = st.lists(
    st.builds(
        lambda identifier, name, written: ChatCompletionMessageFunctionToolCall(
            id=identifier, type="function", function=Function(name=name, arguments=written)
        ),
        st.text(min_size=1, max_size=10),
        st.text(min_size=1, max_size=10),
        st.sampled_from(['{"city": "Köln"}', "{}", '{"broken": ', "\x00"]) | st.text(min_size=1, max_size=10),
    ),
    min_size=1,
    max_size=3,
)


@st.composite
def answers(draw: st.DrawFn) -> ChatCompletion:
    message = ChatCompletionMessage(
        role="assistant",
        content=draw(st.none() | st.text(max_size=20)),
        tool_calls=draw(st.none() | tool_calls),
    )
    reason = draw(st.sampled_from(["stop", "length", "tool_calls", "content_filter", "function_call"]))
    prompt, completion = draw(counts), draw(counts)
    usage = CompletionUsage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion,
        prompt_tokens_details=draw(
            st.none() | st.builds(PromptTokensDetails, cached_tokens=st.none() | st.integers(0, prompt))
        ),
        completion_tokens_details=draw(
            st.none()
            | st.builds(CompletionTokensDetails, reasoning_tokens=st.none() | st.integers(0, completion))
        ),
    )
    choice = Choice(finish_reason=reason, index=0, message=message)
    return ChatCompletion(
        id="x",
        choices=[choice],
        created=1,
        model="m",
        object="chat.completion",
        usage=draw(st.none() | st.just(usage)),
    )


class TestAnswers:
    @many
    @given(answers(), st.booleans())
    def test_every_answer_of_the_sdk_types_is_read_as_the_sdk_reads_it(
        self, sdk: ChatCompletion, terse: bool
    ) -> None:
        encoded = sdk.model_dump_json(exclude_none=terse).encode()
        completion = adapter.parse(HttpResponse(200, {"content-type": "application/json"}, encoded), HELLO)
        message = sdk.choices[0].message
        assert completion.text == (message.content or "")
        assert [(call.id, call.name, call.arguments_json) for call in completion.tool_calls] == [
            (call.id, call.function.name, call.function.arguments)
            for call in message.tool_calls or []
            if call.type == "function"
        ]
        usage, counted = completion.usage, sdk.usage
        assert usage.estimated == (counted is None)
        if counted is not None:
            assert (usage.input_tokens, usage.output_tokens) == (
                counted.prompt_tokens,
                counted.completion_tokens,
            )
            details = counted.prompt_tokens_details
            assert usage.cached_input_tokens == ((details.cached_tokens if details else 0) or 0)

    @pytest.mark.parametrize("written", ['{"city":"Bonn"}', {"city": "Bonn"}])
    def test_arguments_may_be_text_or_an_object(self, written: object) -> None:
        call = {"function": {"name": "weather", "arguments": written}}
        completion = adapter.parse(answer({"content": None, "tool_calls": [call]}), HELLO)
        assert completion.finish_reason is FinishReason.TOOL_CALLS
        assert json.loads(completion.tool_calls[0].arguments_json) == {"city": "Bonn"}
        assert completion.tool_calls[0].id == "call_r_0"

    def test_a_refusal_is_a_content_filter(self) -> None:
        completion = adapter.parse(answer({"content": None, "refusal": "I cannot help"}), HELLO)
        assert (completion.text, completion.finish_reason) == ("I cannot help", FinishReason.CONTENT_FILTER)

    def test_content_in_parts_is_joined(self) -> None:
        parts = [{"type": "text", "text": "Hello "}, {"type": "text", "text": "there"}]
        assert adapter.parse(answer({"content": parts}), HELLO).text == "Hello there"


class TestErrors:
    @pytest.mark.parametrize(
        ("status", "body", "kind"),
        [
            (400, {"error": {"code": "context_length_exceeded", "message": "m"}}, FailureKind.CONTEXT_LENGTH),
            (
                400,
                {
                    "object": "error",
                    "message": "This model's maximum context length is 8192 tokens.",
                    "code": 400,
                },
                FailureKind.CONTEXT_LENGTH,
            ),
            (400, {"error": {"code": "content_filter", "message": "m"}}, FailureKind.CONTENT_FILTER),
            (400, {"error": {"message": "bad temperature"}}, FailureKind.INVALID_REQUEST),
            (400, {"error": "bad temperature"}, FailureKind.INVALID_REQUEST),
            (422, {"detail": [{"msg": "field required"}]}, FailureKind.INVALID_REQUEST),
            (401, {"error": {"code": "invalid_api_key", "message": "m"}}, FailureKind.AUTHENTICATION),
            (404, {"error": {"code": "model_not_found", "message": "m"}}, FailureKind.UNSUPPORTED),
            (429, {"error": {"code": "rate_limit_exceeded", "message": "m"}}, FailureKind.RATE_LIMITED),
            (429, {"error": {"code": "insufficient_quota", "message": "m"}}, FailureKind.RATE_LIMITED),
            (503, {"error": {"message": "overloaded"}}, FailureKind.OVERLOADED),
            (200, {"error": {"code": 429, "message": "upstream is busy"}}, FailureKind.RATE_LIMITED),
            (200, {"error": {"message": "upstream failed"}}, FailureKind.OVERLOADED),
        ],
    )
    def test_errors_are_told_apart(self, status: int, body: object, kind: FailureKind) -> None:
        with pytest.raises(ProviderError) as failed:
            adapter.parse(HttpResponse(status, {}, json.dumps(body).encode()), HELLO)
        assert failed.value.kind is kind

    def test_a_key_that_the_server_repeats_stays_out_of_the_error(self) -> None:
        body = {"error": {"code": "invalid_api_key", "message": "Incorrect API key provided: sk-very-secret"}}
        with pytest.raises(ProviderError) as failed:
            adapter.parse(HttpResponse(401, {}, json.dumps(body).encode()), HELLO)
        assert "very-secret" not in failed.value.message
