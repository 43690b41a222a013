"""The Bedrock adapter, held to botocore's service model and signer."""

from __future__ import annotations

import base64
import json
import re
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import msgspec
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.model import StructureShape
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
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
from gateway.providers.bedrock import BearerToken, BedrockAdapter
from local.providers.aws_shapes import complaints, converse
from local.providers.bedrock import Bedrock
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

MODEL = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
ENDPOINT = "https://bedrock-runtime.eu-central-1.amazonaws.com"
NOW_S = 1_795_292_982.0
OUTPUT = cast(StructureShape, converse().output_shape)
KEYS = ReadOnlyCredentials("AKIDEXAMPLE", "secret", "session/token+=")
HELLO = Request(id="r", messages=(Message(Role.USER, (Text("Hello"),)),))
WEATHER = Tool("weather", "Current weather", {"type": "object", "properties": {"city": {"type": "string"}}})

adapter = BedrockAdapter("eu-central-1", ENDPOINT, lambda: KEYS, now_s=lambda: NOW_S)


def body_of(request: Request, model: str = MODEL) -> Json:
    return loaded(adapter.prepare(request, model).body)


def blocks(body: Json, kind: str) -> list[Any]:
    return [block[kind] for message in body["messages"] for block in message["content"] if kind in block]


def answer(**changes: object) -> HttpResponse:
    body = {
        "output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5},
        "metrics": {"latencyMs": 9},
    } | changes
    return HttpResponse(200, {"content-type": "application/json"}, json.dumps(body).encode())


class TestRequests:
    @many
    @given(requests())
    def test_every_conversation_is_one_that_converse_accepts(self, request_: Request) -> None:
        Bedrock().read(MODEL, adapter.prepare(request_, MODEL).body)

    @many
    @given(requests())
    def test_nothing_that_was_said_shown_or_called_is_lost(self, request_: Request) -> None:
        body = body_of(request_)
        assert [block["text"] for block in body.get("system", [])] == instructions_of(request_)
        said = [
            (message["role"], block["text"])
            for message in body["messages"]
            for block in message["content"]
            if "text" in block
            and not re.match(r"\[(Called|Result of) |\(The conversation begins", block["text"])
        ]
        expected = [
            saying for saying in sayings_of(request_) if not re.match(r"\[(Called|Result of) ", saying[1])
        ]
        # A turn's results come before its words, so order holds for each side.
        for side in ("user", "assistant"):
            assert [s for s in said if s[0] == side] == [s for s in expected if s[0] == side]
        shown = [base64.b64decode(image["source"]["bytes"]) for image in blocks(body, "image")]
        assert shown == images_of(request_)

    @many
    @given(requests().filter(lambda r: bool(r.tools) and r.tool_choice.mode is not ToolChoiceMode.NONE))
    def test_calls_and_results_stay_paired(self, request_: Request) -> None:
        body = body_of(request_)
        calls, uses = calls_of(request_), blocks(body, "toolUse")
        assert [use["input"] for use in uses] == [as_object(call.arguments_json) for call in calls]
        assert [use["name"] for use in uses] == [call.name for call in calls]
        answered = {
            each["toolUseId"]: "".join(c["text"] for c in each["content"])
            for each in blocks(body, "toolResult")
        }
        results = results_of(request_)
        for call, use in zip(calls, uses, strict=True):
            assert answered[use["toolUseId"]].strip() == results[call.id].strip()

    @many
    @given(requests())
    def test_without_tools_on_offer_past_calls_are_told_in_words(self, request_: Request) -> None:
        body = body_of(msgspec.structs.replace(request_, tools=(), tool_choice=ToolChoice()))
        assert "toolConfig" not in body
        assert not blocks(body, "toolUse")
        told = " ".join(blocks(body, "text"))
        assert all(f"[Called {call.name} with" in told for call in calls_of(request_))

    def test_a_forbidden_tool_is_not_offered(self) -> None:
        request = msgspec.structs.replace(
            HELLO, tools=(WEATHER,), tool_choice=ToolChoice(ToolChoiceMode.NONE)
        )
        assert "toolConfig" not in body_of(request)

    @pytest.mark.parametrize(
        ("choice", "expected"),
        [
            (ToolChoice(), None),
            (ToolChoice(ToolChoiceMode.REQUIRED), {"any": {}}),
            (ToolChoice(ToolChoiceMode.NAMED, "weather"), {"tool": {"name": "weather"}}),
        ],
    )
    def test_tool_choice_is_said_in_converse_words(self, choice: ToolChoice, expected: object) -> None:
        body = body_of(msgspec.structs.replace(HELLO, tools=(WEATHER,), tool_choice=choice))
        assert body["toolConfig"].get("toolChoice") == expected
        assert body["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"]["json"] == WEATHER.parameters

    def test_a_strict_tool_stays_strict(self) -> None:
        strict = msgspec.structs.replace(WEATHER, strict=True)
        body = body_of(msgspec.structs.replace(HELLO, tools=(strict, WEATHER)))
        assert [tool["toolSpec"].get("strict") for tool in body["toolConfig"]["tools"]] == [True, None]

    @pytest.mark.parametrize("name", ["functions.weather!", "wetter für köln", "x" * 80, ""])
    def test_a_name_that_a_model_invented_is_made_to_fit(self, name: str) -> None:
        call = Message(Role.ASSISTANT, (), (ToolCall("a", name, "{}"),))
        result = Message(Role.TOOL, (Text("no such tool"),), tool_call_id="a")
        request = Request("r", (*HELLO.messages, call, result), tools=(WEATHER,))
        Bedrock().read(MODEL, adapter.prepare(request, MODEL).body)

    def test_a_conversation_that_the_assistant_opens_gets_an_opening_by_the_user(self) -> None:
        body = body_of(Request(id="r", messages=(Message(Role.ASSISTANT, (Text("Welcome!"),)),)))
        assert [message["role"] for message in body["messages"]] == ["user", "assistant"]

    def test_temperature_is_capped_and_claude_gets_no_top_p_beside_it(self) -> None:
        request = msgspec.structs.replace(HELLO, sampling=Sampling(10, 1.7, 0.5, ("END",)))
        assert body_of(request)["inferenceConfig"] == {
            "maxTokens": 10,
            "temperature": 1.0,
            "stopSequences": ["END"],
        }
        assert body_of(request, "meta.llama3-3-70b-instruct-v1:0")["inferenceConfig"]["topP"] == 0.5

    @pytest.mark.parametrize(
        ("content", "tools", "kind"),
        [
            ((Image("image/tiff", b"x"),), (), FailureKind.UNSUPPORTED),
            ((Image("image/png", b""),), (), FailureKind.INVALID_REQUEST),
            ((Text("lone \ud800 surrogate"),), (), FailureKind.INVALID_REQUEST),
            ((Text("Hello"),), (Tool("no spaces allowed"),), FailureKind.INVALID_REQUEST),
        ],
    )
    def test_what_converse_cannot_carry_is_refused_before_sending(
        self, content: tuple[Text | Image, ...], tools: tuple[Tool, ...], kind: FailureKind
    ) -> None:
        request = Request(id="r", messages=(Message(Role.USER, content),), tools=tools)
        with pytest.raises(ProviderError) as refused:
            adapter.prepare(request, MODEL)
        assert refused.value.kind is kind


class TestAddressAndSignature:
    @pytest.mark.parametrize(
        "model",
        [
            MODEL,
            "arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/abc123",
            "a.b c/d%e",
        ],
    )
    def test_the_path_is_the_one_botocore_makes(self, model: str) -> None:
        serializer = create_serializer("rest-json", include_validation=False)
        expected = serializer.serialize_to_request({"modelId": model, "messages": []}, converse())
        assert adapter.prepare(HELLO, model).url == ENDPOINT + expected["url_path"]
        assert unquote(urlsplit(adapter.prepare(HELLO, model).url).path.split("/")[2]) == model

    @pytest.mark.parametrize(
        "endpoint", [ENDPOINT, "http://127.0.0.1:4566", "http://[::1]:8080", "https://h:443"]
    )
    @pytest.mark.parametrize("token", ["session/token+=", None])
    def test_the_signature_is_the_one_botocore_makes(self, endpoint: str, token: str | None) -> None:
        keys = ReadOnlyCredentials("AKIDEXAMPLE", "secret", token)
        signing = BedrockAdapter("eu-central-1", endpoint, lambda: keys, now_s=lambda: NOW_S)
        prepared = signing.prepare(HELLO, "arn:aws:bedrock:eu-central-1:1:inference-profile/eu.x-v1:0")
        headers = {name: value for name, value in prepared.headers.items() if name != "authorization"}
        request = AWSRequest("POST", prepared.url, headers=headers, data=prepared.body)
        request.context["timestamp"] = prepared.headers["x-amz-date"]
        signer = SigV4Auth(Credentials("AKIDEXAMPLE", "secret", token), "bedrock", "eu-central-1")
        expected = signer.signature(
            signer.string_to_sign(request, signer.canonical_request(request)), request
        )
        assert prepared.headers["authorization"].endswith(f"Signature={expected}")

    def test_rotated_credentials_are_used_at_once(self) -> None:
        current = [KEYS]
        signing = BedrockAdapter("eu-central-1", ENDPOINT, lambda: current[0], now_s=lambda: NOW_S)
        before = signing.prepare(HELLO, MODEL).headers["authorization"]
        current[0] = ReadOnlyCredentials("AKIDEXAMPLE", "rotated", None)
        assert signing.prepare(HELLO, MODEL).headers["authorization"] != before

    def test_an_api_key_is_sent_as_bearer_token_and_never_shown(self) -> None:
        bearing = BedrockAdapter("eu-central-1", ENDPOINT, lambda: BearerToken("bedrock-key"))
        assert bearing.prepare(HELLO, MODEL).headers["authorization"] == "Bearer bedrock-key"
        assert "bedrock-key" not in repr(BearerToken("bedrock-key"))

    def test_without_credentials_nothing_is_sent(self) -> None:
        with pytest.raises(ProviderError) as refused:
            BedrockAdapter("eu-central-1", ENDPOINT, lambda: None).prepare(HELLO, MODEL)
        assert refused.value.kind is FailureKind.AUTHENTICATION


content_blocks = st.one_of(
    st.builds(lambda text: {"text": text}, st.text(max_size=20)),
    st.builds(
        lambda identifier, value: {"toolUse": {"toolUseId": identifier, "name": "weather", "input": value}},
        st.from_regex(r"[a-zA-Z0-9_-]{1,20}", fullmatch=True),
        st.dictionaries(st.text(max_size=5), json_values, max_size=3),
    ),
    st.just({"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}}),
    st.just({"citationsContent": {"content": [{"text": "cited"}], "citations": []}}),
)
counts = st.integers(0, 10**6)


@st.composite
def answers(draw: st.DrawFn) -> Json:
    reasons = OUTPUT.members["stopReason"].metadata["enum"]
    usage = {"inputTokens": draw(counts), "outputTokens": draw(counts), "totalTokens": draw(counts)}
    for optional in ("cacheReadInputTokens", "cacheWriteInputTokens"):
        if draw(st.booleans()):
            usage[optional] = draw(counts)
    return {
        "output": {"message": {"role": "assistant", "content": draw(st.lists(content_blocks, max_size=4))}},
        "stopReason": draw(st.sampled_from([each for each in reasons if not each.startswith("malformed")])),
        "usage": usage,
        "metrics": {"latencyMs": draw(counts)},
    }


class TestAnswers:
    @many
    @given(answers())
    def test_every_answer_of_the_service_model_is_read_as_botocore_reads_it(self, body: Json) -> None:
        assert complaints(body, OUTPUT) == []
        encoded = json.dumps(body).encode()
        parsed = create_parser("rest-json").parse(
            {"status_code": 200, "headers": {}, "body": encoded}, OUTPUT
        )
        content = parsed["output"]["message"]["content"]
        completion = adapter.parse(HttpResponse(200, {"content-type": "application/json"}, encoded), HELLO)
        assert completion.text == "".join(block["text"] for block in content if "text" in block)
        uses = [block["toolUse"] for block in content if "toolUse" in block]
        assert [(c.id, c.name, json.loads(c.arguments_json)) for c in completion.tool_calls] == [
            (use["toolUseId"], use["name"], use["input"]) for use in uses
        ]
        usage = parsed["usage"]
        read, written = usage.get("cacheReadInputTokens", 0), usage.get("cacheWriteInputTokens", 0)
        assert completion.usage.input_tokens == usage["inputTokens"] + read + written
        assert completion.usage.cached_input_tokens == read
        assert completion.usage.output_tokens == usage["outputTokens"]
        assert not completion.usage.estimated

    @pytest.mark.parametrize(
        ("reason", "expected"),
        [
            ("end_turn", FinishReason.STOP),
            ("stop_sequence", FinishReason.STOP),
            ("max_tokens", FinishReason.LENGTH),
            ("model_context_window_exceeded", FinishReason.LENGTH),
            ("guardrail_intervened", FinishReason.CONTENT_FILTER),
            ("content_filtered", FinishReason.CONTENT_FILTER),
            ("something_new", FinishReason.STOP),
        ],
    )
    def test_stop_reasons_become_openai_words(self, reason: str, expected: FinishReason) -> None:
        assert adapter.parse(answer(stopReason=reason), HELLO).finish_reason is expected

    def test_a_tool_call_is_the_finish_reason_whatever_the_stop_reason(self) -> None:
        message = {"content": [{"toolUse": {"toolUseId": "t", "name": "weather", "input": {"city": "Bonn"}}}]}
        completion = adapter.parse(answer(output={"message": message}), HELLO)
        assert completion.finish_reason is FinishReason.TOOL_CALLS
        assert completion.tool_calls == (ToolCall("t", "weather", '{"city": "Bonn"}'),)

    @pytest.mark.parametrize("usage", [None, {}, {"inputTokens": -1, "outputTokens": 1}, "many", [1]])
    def test_missing_or_absurd_usage_is_estimated_and_marked(self, usage: object) -> None:
        estimated = adapter.parse(answer(usage=usage), HELLO).usage
        assert estimated.estimated
        assert estimated.input_tokens > 0
        assert estimated.output_tokens > 0

    @pytest.mark.parametrize("reason", ["malformed_model_output", "malformed_tool_use"])
    def test_malformed_output_is_a_failure_of_the_provider(self, reason: str) -> None:
        with pytest.raises(ProviderError) as failed:
            adapter.parse(answer(stopReason=reason), HELLO)
        assert failed.value.kind is FailureKind.PROTOCOL


class TestErrors:
    @pytest.mark.parametrize(
        ("status", "code", "message", "kind"),
        [
            (429, "ThrottlingException", "Too many tokens, please wait", FailureKind.RATE_LIMITED),
            (400, "ThrottlingException", "Rate exceeded", FailureKind.RATE_LIMITED),
            (429, "ModelNotReadyException", "Model is loading", FailureKind.OVERLOADED),
            (503, "ServiceUnavailableException", "Bedrock is unable to process", FailureKind.OVERLOADED),
            (500, "InternalServerException", "oops", FailureKind.OVERLOADED),
            (424, "ModelErrorException", "model failed", FailureKind.OVERLOADED),
            (408, "ModelTimeoutException", "took too long", FailureKind.TIMEOUT),
            (403, "AccessDeniedException", "not authorized", FailureKind.AUTHENTICATION),
            (403, "ExpiredTokenException", "expired", FailureKind.AUTHENTICATION),
            (403, "UnrecognizedClientException", "invalid token", FailureKind.AUTHENTICATION),
            (404, "ResourceNotFoundException", "no such model", FailureKind.UNSUPPORTED),
            (
                400,
                "ValidationException",
                "Input is too long for requested model.",
                FailureKind.CONTEXT_LENGTH,
            ),
            (
                400,
                "ValidationException",
                "prompt is too long: 210000 tokens > 200000 maximum",
                FailureKind.CONTEXT_LENGTH,
            ),
            (
                400,
                "ValidationException",
                "input length and `max_tokens` exceed context limit",
                FailureKind.CONTEXT_LENGTH,
            ),
            (
                400,
                "ValidationException",
                "This model doesn't support the toolChoice.any field.",
                FailureKind.UNSUPPORTED,
            ),
            (
                400,
                "ValidationException",
                "The provided model identifier is invalid.",
                FailureKind.UNSUPPORTED,
            ),
            (400, "ValidationException", "messages.0.content is empty", FailureKind.INVALID_REQUEST),
        ],
    )
    @pytest.mark.parametrize("where", ["header", "body"])
    def test_errors_are_told_apart(
        self, status: int, code: str, message: str, kind: FailureKind, where: str
    ) -> None:
        headers, body = {"content-type": "application/json"}, {"message": message}
        if where == "header":
            headers["x-amzn-errortype"] = f"{code}:http://internal.amazon.com/coral/com.amazon.bedrock/"
        else:
            body["__type"] = f"com.amazon.coral.service#{code}"
        with pytest.raises(ProviderError) as failed:
            adapter.parse(HttpResponse(status, headers, json.dumps(body).encode()), HELLO)
        assert (failed.value.kind, failed.value.status) == (kind, status)
        assert code in failed.value.message

    def test_every_error_of_the_service_model_is_known(self) -> None:
        for shape in converse().error_shapes:
            status = shape.metadata["error"]["httpStatusCode"]
            headers = {"x-amzn-errortype": shape.name}
            with pytest.raises(ProviderError) as failed:
                adapter.parse(HttpResponse(status, headers, b'{"message":"m"}'), HELLO)
            assert failed.value.kind is not FailureKind.PROTOCOL, shape.name
