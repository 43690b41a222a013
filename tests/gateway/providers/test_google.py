"""The Google adapter, held to google-genai's types."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

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
from gateway.providers.google import GoogleAdapter
from local.providers.google import Google
from tests.gateway.providers.conversations import (
    Json,
    as_object,
    calls_of,
    images_of,
    instructions_of,
    json_values,
    loaded,
    many,
    requests,
    results_of,
    sayings_of,
)

MODEL = "gemini-3-pro"
HELLO = Request(id="r", messages=(Message(Role.USER, (Text("Hello"),)),))
WEATHER = Tool("weather", "Current weather", {"type": "object", "properties": {"city": {"type": "string"}}})

adapter = GoogleAdapter("https://aiplatform.eu.rep.googleapis.com/", "my-project", "eu", lambda: "token")


def body_of(request: Request, model: str = MODEL) -> Json:
    return loaded(adapter.prepare(request, model).body)


def parts(body: Json, kind: str) -> list[Any]:
    return [part[kind] for content in body["contents"] for part in content["parts"] if kind in part]


def answer(**changes: object) -> HttpResponse:
    body = {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "Hi"}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5},
    } | changes
    return HttpResponse(200, {"content-type": "application/json; charset=UTF-8"}, json.dumps(body).encode())


class TestRequests:
    @many
    @given(requests(), st.sampled_from([MODEL, "gemini-2.5-flash"]))
    def test_every_conversation_is_one_that_gemini_accepts(self, request_: Request, model: str) -> None:
        Google().read(model, adapter.prepare(request_, model).body)

    @many
    @given(requests())
    def test_nothing_that_was_said_shown_or_called_is_lost(self, request_: Request) -> None:
        body = body_of(request_)
        system = body.get("systemInstruction", {"parts": []})
        assert [part["text"] for part in system["parts"]] == instructions_of(request_)
        for role, side in (("user", "user"), ("model", "assistant")):
            said = [
                part["text"]
                for content in body["contents"]
                if content["role"] == role
                for part in content["parts"]
                if "text" in part and part["text"] != "(The conversation begins.)"
            ]
            assert said == [text for who, text in sayings_of(request_) if who == side]
        assert [base64.b64decode(each["data"]) for each in parts(body, "inlineData")] == images_of(request_)
        calls = calls_of(request_)
        assert [(each["name"], each["args"]) for each in parts(body, "functionCall")] == [
            (call.name, as_object(call.arguments_json)) for call in calls
        ]
        # Results come in the order of the calls, which is how Gemini tells them apart.
        results = results_of(request_)
        assert [(each["name"], each["response"]["output"]) for each in parts(body, "functionResponse")] == [
            (call.name, results[call.id]) for call in calls
        ]

    @many
    @given(requests())
    def test_tool_schemas_pass_untouched(self, request_: Request) -> None:
        declared = [
            each for tool in body_of(request_).get("tools", []) for each in tool["functionDeclarations"]
        ]
        assert [(each["name"], each["parametersJsonSchema"]) for each in declared] == [
            (tool.name, tool.parameters or {"type": "object", "properties": {}}) for tool in request_.tools
        ]

    @pytest.mark.parametrize(
        ("choice", "strict", "expected"),
        [
            (ToolChoice(), False, {"mode": "AUTO"}),
            (ToolChoice(), True, {"mode": "VALIDATED"}),
            (ToolChoice(ToolChoiceMode.NONE), False, {"mode": "NONE"}),
            (ToolChoice(ToolChoiceMode.REQUIRED), False, {"mode": "ANY"}),
            (
                ToolChoice(ToolChoiceMode.NAMED, "weather"),
                True,
                {"mode": "ANY", "allowedFunctionNames": ["weather"]},
            ),
        ],
    )
    def test_tool_choice_is_said_in_gemini_words(
        self, choice: ToolChoice, strict: bool, expected: object
    ) -> None:
        tool = msgspec.structs.replace(WEATHER, strict=strict)
        body = body_of(msgspec.structs.replace(HELLO, tools=(tool,), tool_choice=choice))
        assert body["toolConfig"]["functionCallingConfig"] == expected

    def test_sampling_is_carried(self) -> None:
        body = body_of(msgspec.structs.replace(HELLO, sampling=Sampling(10, 1.7, 0.5, ("END",))))
        assert body["generationConfig"] == {
            "maxOutputTokens": 10,
            "temperature": 1.7,
            "topP": 0.5,
            "stopSequences": ["END"],
        }

    @pytest.mark.parametrize(("model", "signed"), [("gemini-2.5-pro", False), ("gemini-3-pro", True)])
    def test_calls_in_the_history_are_signed_where_the_generation_wants_it(
        self, model: str, signed: bool
    ) -> None:
        calls = (ToolCall("a", "weather", "{}"), ToolCall("b", "weather", "{}"))
        results = tuple(Message(Role.TOOL, (Text("warm"),), tool_call_id=each) for each in "ab")
        history = (*HELLO.messages, Message(Role.ASSISTANT, (), calls), *results)
        made = [
            part for content in body_of(Request("r", history), model)["contents"] for part in content["parts"]
        ]
        assert [("thoughtSignature" in part) for part in made if "functionCall" in part] == [signed, False]

    def test_the_address_names_project_location_and_model(self) -> None:
        prepared = adapter.prepare(HELLO, MODEL)
        assert prepared.url == (
            "https://aiplatform.eu.rep.googleapis.com/v1/projects/my-project/locations/eu"
            "/publishers/google/models/gemini-3-pro:generateContent"
        )
        assert prepared.headers["authorization"] == "Bearer token"

    @pytest.mark.parametrize(
        ("message", "tools", "kind"),
        [
            (Message(Role.USER, (Image("image/png", b""),)), (), FailureKind.INVALID_REQUEST),
            (Message(Role.USER, (Text("\ud800"),)), (), FailureKind.INVALID_REQUEST),
            (Message(Role.SYSTEM, (Image("image/png", b"x"),)), (), FailureKind.INVALID_REQUEST),
            (Message(Role.TOOL, (Text("22"),), tool_call_id="never made"), (), FailureKind.INVALID_REQUEST),
            (Message(Role.USER, (Text("Hello"),)), (Tool("1st"),), FailureKind.UNSUPPORTED),
        ],
    )
    def test_what_gemini_cannot_carry_is_refused_before_sending(
        self, message: Message, tools: tuple[Tool, ...], kind: FailureKind
    ) -> None:
        with pytest.raises(ProviderError) as refused:
            adapter.prepare(Request(id="r", messages=(message,), tools=tools), MODEL)
        assert refused.value.kind is kind

    @pytest.mark.parametrize("token", [None, ""])
    def test_without_a_token_nothing_is_sent(self, token: str | None) -> None:
        with pytest.raises(ProviderError) as refused:
            GoogleAdapter("https://x", "p", "eu", lambda: token).prepare(HELLO, MODEL)
        assert refused.value.kind is FailureKind.AUTHENTICATION


counts = st.none() | st.integers(0, 10**6)
content_parts = st.one_of(
    st.builds(lambda text: types.Part(text=text), st.text(max_size=20)),
    st.builds(lambda text: types.Part(text=text, thought=True), st.text(max_size=20)),
    st.builds(
        lambda identifier, args: types.Part(
            function_call=types.FunctionCall(id=identifier, name="weather", args=args), thought_signature=b"s"
        ),
        st.none() | st.text("abc123", min_size=1, max_size=8),
        st.none() | st.dictionaries(st.text(max_size=5), json_values, max_size=3),
    ),
    st.just(types.Part(executable_code=types.ExecutableCode(code="1+1", language="PYTHON"))),
)


@st.composite
def answers(draw: st.DrawFn) -> types.GenerateContentResponse:
    malformed = {"MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL"}
    malformed |= {"TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE"}
    reasons = [reason for reason in types.FinishReason if reason.value not in malformed]
    content = types.Content(role="model", parts=draw(st.none() | st.lists(content_parts, max_size=4)))
    candidate = types.Candidate(content=content, finish_reason=draw(st.sampled_from(reasons)), index=0)
    usage = types.GenerateContentResponseUsageMetadata(
        prompt_token_count=draw(st.integers(0, 10**6)),
        candidates_token_count=draw(counts),
        thoughts_token_count=draw(counts),
        tool_use_prompt_token_count=draw(counts),
        cached_content_token_count=draw(counts),
    )
    return types.GenerateContentResponse(candidates=[candidate], usage_metadata=usage, model_version="m")


class TestAnswers:
    @many
    @given(answers())
    def test_every_answer_of_the_sdk_types_is_read_as_the_sdk_reads_it(
        self, sdk: types.GenerateContentResponse
    ) -> None:
        encoded = sdk.model_dump_json(by_alias=True, exclude_none=True).encode()
        completion = adapter.parse(HttpResponse(200, {"content-type": "application/json"}, encoded), HELLO)
        content, counted = (sdk.candidates or [])[0].content, sdk.usage_metadata
        assert content is not None
        assert counted is not None
        read = content.parts or []
        assert completion.text == "".join(part.text for part in read if part.text and not part.thought)
        expected = [part.function_call for part in read if part.function_call]
        assert [json.loads(call.arguments_json) for call in completion.tool_calls] == [
            call.args or {} for call in expected
        ]
        assert [call.id for call in completion.tool_calls] == [
            call.id or f"call_r_{index}" for index, call in enumerate(expected)
        ]
        usage = completion.usage
        assert usage.input_tokens == (counted.prompt_token_count or 0) + (
            counted.tool_use_prompt_token_count or 0
        )
        assert usage.output_tokens == (counted.candidates_token_count or 0) + (
            counted.thoughts_token_count or 0
        )
        assert usage.reasoning_tokens == (counted.thoughts_token_count or 0)
        assert usage.cached_input_tokens == min(counted.cached_content_token_count or 0, usage.input_tokens)

    @pytest.mark.parametrize(
        ("reason", "expected"),
        [
            ("STOP", FinishReason.STOP),
            ("MAX_TOKENS", FinishReason.LENGTH),
            ("SAFETY", FinishReason.CONTENT_FILTER),
            ("PROHIBITED_CONTENT", FinishReason.CONTENT_FILTER),
            ("SOMETHING_NEW", FinishReason.STOP),
        ],
    )
    def test_finish_reasons_become_openai_words(self, reason: str, expected: FinishReason) -> None:
        assert adapter.parse(answer(candidates=[{"finishReason": reason}]), HELLO).finish_reason is expected

    def test_tool_calls_without_ids_get_ids_of_their_request(self) -> None:
        call = {"functionCall": {"name": "weather", "args": {"city": "Bonn"}}}
        candidates = [{"content": {"parts": [call, call]}, "finishReason": "STOP"}]
        first = adapter.parse(answer(candidates=candidates), HELLO)
        assert first.finish_reason is FinishReason.TOOL_CALLS
        assert [each.id for each in first.tool_calls] == ["call_r_0", "call_r_1"]
        assert first == adapter.parse(answer(candidates=candidates), HELLO)

    @pytest.mark.parametrize("call", [{"name": "weather"}, {"name": "weather", "args": None}])
    def test_a_call_without_arguments_has_an_empty_object(self, call: Json) -> None:
        candidates = [{"content": {"parts": [{"functionCall": call}]}, "finishReason": "STOP"}]
        completion = adapter.parse(answer(candidates=candidates), HELLO)
        assert [each.arguments_json for each in completion.tool_calls] == ["{}"]

    @pytest.mark.parametrize("usage", [None, {}, {"promptTokenCount": -1}, "many"])
    def test_missing_or_absurd_usage_is_estimated_and_marked(self, usage: object) -> None:
        estimated = adapter.parse(answer(usageMetadata=usage), HELLO).usage
        assert estimated.estimated
        assert estimated.input_tokens > 0

    @pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL"])
    def test_malformed_output_is_a_failure_of_the_provider(self, reason: str) -> None:
        with pytest.raises(ProviderError) as failed:
            adapter.parse(answer(candidates=[{"finishReason": reason}]), HELLO)
        assert failed.value.kind is FailureKind.PROTOCOL


class TestErrors:
    @pytest.mark.parametrize(
        ("status", "named", "message", "kind"),
        [
            (429, "RESOURCE_EXHAUSTED", "Quota exceeded", FailureKind.RATE_LIMITED),
            (400, "INVALID_ARGUMENT", "Unknown name 'x'", FailureKind.INVALID_REQUEST),
            (
                400,
                "INVALID_ARGUMENT",
                "The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).",
                FailureKind.CONTEXT_LENGTH,
            ),
            (
                400,
                "INVALID_ARGUMENT",
                "API key not valid. Please pass a valid key.",
                FailureKind.AUTHENTICATION,
            ),
            (400, "FAILED_PRECONDITION", "User location is not supported", FailureKind.UNSUPPORTED),
            (401, "UNAUTHENTICATED", "invalid credentials", FailureKind.AUTHENTICATION),
            (403, "PERMISSION_DENIED", "denied", FailureKind.AUTHENTICATION),
            (404, "NOT_FOUND", "Publisher Model not found", FailureKind.UNSUPPORTED),
            (500, "INTERNAL", "oops", FailureKind.OVERLOADED),
            (503, "UNAVAILABLE", "The model is overloaded", FailureKind.OVERLOADED),
            (504, "DEADLINE_EXCEEDED", "slow", FailureKind.TIMEOUT),
        ],
    )
    @pytest.mark.parametrize("wrapped", [False, True])
    def test_errors_are_told_apart(
        self, status: int, named: str, message: str, kind: FailureKind, wrapped: bool
    ) -> None:
        body: object = {"error": {"code": status, "message": message, "status": named}}
        encoded = json.dumps([body] if wrapped else body).encode()
        with pytest.raises(ProviderError) as failed:
            adapter.parse(HttpResponse(status, {}, encoded), HELLO)
        assert failed.value.kind is kind

    def test_the_wait_is_read_from_the_details(self) -> None:
        info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.07s"}
        error = {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [{"@type": "other"}, info]}
        with pytest.raises(ProviderError) as failed:
            adapter.parse(HttpResponse(429, {}, json.dumps({"error": error}).encode()), HELLO)
        assert failed.value.retry_after_s == pytest.approx(34.07)

    def test_a_blocked_prompt_is_a_content_filter(self) -> None:
        blocked = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "candidates": []}
        with pytest.raises(ProviderError) as failed:
            adapter.parse(answer(**blocked), HELLO)
        assert failed.value.kind is FailureKind.CONTENT_FILTER
        assert failed.value.kind.callers_fault
