"""No bytes a peer may send make an adapter raise anything but `ProviderError`."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given
from hypothesis import strategies as st

from gateway.model import Completion, Message, Request, Role, Text, Tool, ToolCall
from gateway.providers.adapter import Adapter, FailureKind, HttpResponse, ProviderError
from gateway.providers.bedrock import BedrockAdapter
from gateway.providers.google import GoogleAdapter
from gateway.providers.http_answer import MAXIMUM_ANSWER_BYTES, retry_after_s
from gateway.providers.llama import LlamaAdapter
from gateway.providers.token_estimate import request_tokens
from tests.gateway.providers.conversations import Json, json_values, many

HELLO = Request(id="r", messages=(Message(Role.USER, (Text("Hello"),)),))
Path = tuple[Any, ...]
JSON = {"content-type": "application/json"}

ADAPTERS: dict[str, Adapter] = {
    "bedrock": BedrockAdapter("eu-central-1", "https://bedrock", lambda: ReadOnlyCredentials("a", "b", None)),
    "google": GoogleAdapter("https://google", "p", "eu", lambda: "t"),
    "llama": LlamaAdapter("https://llama/v1", lambda: "k"),
}
VALID: dict[str, Json] = {
    "bedrock": {
        "output": {
            "message": {
                "role": "assistant",
                "content": [
                    {"text": "Hi"},
                    {"toolUse": {"toolUseId": "t", "name": "f", "input": {"a": [1, "ä"]}}},
                ],
            }
        },
        "stopReason": "tool_use",
        "usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5},
        "metrics": {"latencyMs": 1},
    },
    "google": {
        "candidates": [
            {
                "content": {
                    "role": "model",
                    "parts": [{"text": "Hi"}, {"functionCall": {"name": "f", "args": {"a": 1}}}],
                },
                "finishReason": "STOP",
            }
        ],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2},
    },
    "llama": {
        "choices": [
            {
                "message": {
                    "content": "Hi",
                    "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": '{"a": "ä"}'}}],
                },
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2},
    },
}
ERRORS: dict[str, Json] = {
    "bedrock": {"__type": "ThrottlingException", "message": "slow down"},
    "google": {"error": {"status": "UNAVAILABLE", "message": "m", "details": [{"retryDelay": "1s"}]}},
    "llama": {"error": {"code": "server_error", "type": "t", "message": "m"}},
}
every_adapter = pytest.mark.parametrize("name", sorted(ADAPTERS))
statuses = st.sampled_from(
    [200, 200, 200, 201, 204, 302, 400, 401, 403, 404, 408, 413, 418, 429, 500, 503, 529, 599, 999]
)
headers = st.dictionaries(
    st.sampled_from(["content-type", "retry-after", "retry-after-ms", "date", "x-amzn-errortype"]),
    st.sampled_from(
        ["application/json", "5", "-1", "inf", "nan", "1e400", "Wed, 21 Oct 2026 07:28:00 GMT", "A#B:C", ""]
    )
    | st.text(max_size=40),
)


def outcome(name: str, response: HttpResponse) -> Completion | ProviderError:
    try:
        return ADAPTERS[name].parse(response, HELLO)
    except ProviderError as error:
        result = error
    assert result.message.isprintable()
    assert result.retry_after_s is None or 0 <= result.retry_after_s <= 86_400
    return result


def paths(value: Any, path: Path = ()) -> list[Path]:  # noqa: ANN401
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, each in inner for found in paths(each, (*path, key)))]


def replaced(value: Any, path: Path, by: object) -> object:  # noqa: ANN401
    if not path:
        return by
    copy = value.copy()
    copy[path[0]] = replaced(copy[path[0]], path[1:], by)
    return copy


@every_adapter
@many
@given(st.binary(max_size=200), statuses, headers)
def test_arbitrary_bytes(name: str, body: bytes, status: int, sent: dict[str, str]) -> None:
    result = outcome(name, HttpResponse(status, sent, body))
    assert isinstance(result, ProviderError)
    if 200 <= status < 400:
        assert result.kind is FailureKind.PROTOCOL


@every_adapter
@many
@given(st.data())
def test_valid_answers_with_bytes_changed_cut_or_inserted(name: str, data: st.DataObject) -> None:
    valid = VALID[name] if data.draw(st.booleans()) else ERRORS[name]
    body = bytearray(json.dumps(valid, ensure_ascii=False).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, max(0, len(body) - 1)))
        match data.draw(st.sampled_from(["change", "cut", "insert"])):
            case "change" if body:
                body[place] = data.draw(st.integers(0, 255))
            case "insert":
                body[place:place] = data.draw(st.binary(min_size=1, max_size=4))
            case _:
                del body[place:]
    outcome(name, HttpResponse(data.draw(statuses), JSON, bytes(body)))


@every_adapter
@many
@given(st.data())
def test_valid_answers_with_values_replaced(name: str, data: st.DataObject) -> None:
    valid = VALID[name] if data.draw(st.booleans()) else ERRORS[name]
    changed = replaced(valid, data.draw(st.sampled_from(paths(valid))), data.draw(json_values))
    result = outcome(name, HttpResponse(data.draw(statuses), JSON, json.dumps(changed).encode()))
    if isinstance(result, Completion):
        assert result.usage.cached_input_tokens <= result.usage.input_tokens
        assert result.usage.reasoning_tokens <= result.usage.output_tokens


@every_adapter
def test_the_valid_answers_are_valid(name: str) -> None:
    result = outcome(name, HttpResponse(200, JSON, json.dumps(VALID[name]).encode()))
    assert isinstance(result, Completion)
    assert (result.text, result.usage.input_tokens, result.usage.output_tokens) == ("Hi", 3, 2)


@every_adapter
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe{}",
        b"[" * 200_000,
        b'{"usage":' * 50_000,
        hashlib.sha512(b"noise").digest() * 8,
    ],
    ids=["empty", "null", "list", "object", "encoding", "nested", "nested-objects", "noise"],
)
def test_answers_that_are_no_completion_are_protocol_failures(name: str, body: bytes) -> None:
    result = outcome(name, HttpResponse(200, JSON, body))
    assert isinstance(result, ProviderError)
    assert result.kind is FailureKind.PROTOCOL
    assert len(result.message) < 1000


@every_adapter
@pytest.mark.parametrize("content_type", ["text/html", "application/octet-stream", ""])
def test_a_completion_under_another_content_type_is_a_protocol_failure(name: str, content_type: str) -> None:
    body = json.dumps(VALID[name]).encode()
    result = outcome(name, HttpResponse(200, {"content-type": content_type}, body))
    assert isinstance(result, ProviderError)
    assert result.kind is FailureKind.PROTOCOL


@every_adapter
def test_a_completion_beyond_the_size_limit_is_a_protocol_failure(name: str) -> None:
    body = json.dumps(VALID[name]).encode()
    padded = body + b" " * (MAXIMUM_ANSWER_BYTES - len(body))
    assert isinstance(outcome(name, HttpResponse(200, JSON, padded)), Completion)
    result = outcome(name, HttpResponse(200, JSON, padded + b" "))
    assert isinstance(result, ProviderError)
    assert result.kind is FailureKind.PROTOCOL


@every_adapter
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (502, FailureKind.OVERLOADED),
        (504, FailureKind.TIMEOUT),
        (429, FailureKind.RATE_LIMITED),
        (413, FailureKind.CONTEXT_LENGTH),
        (301, FailureKind.PROTOCOL),
        (405, FailureKind.PROTOCOL),
    ],
)
def test_a_proxys_html_is_judged_by_its_status(name: str, status: int, kind: FailureKind) -> None:
    response = HttpResponse(status, {"content-type": "text/html"}, b"<html>Bad Gateway</html>")
    result = outcome(name, response)
    assert isinstance(result, ProviderError)
    assert (result.kind, result.status) == (kind, status)


@every_adapter
def test_a_long_message_of_the_provider_is_shortened_and_kept_on_one_line(name: str) -> None:
    text = "line\n" * 10_000
    body = {"message": text, "error": {"message": text, "status": "INTERNAL"}}
    result = outcome(name, HttpResponse(500, JSON, json.dumps(body).encode()))
    assert isinstance(result, ProviderError)
    assert len(result.message) < 700
    assert "line line" in result.message


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "1"}, 1.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}, 90.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 0.0),
        ({"retry-after": "99999999999"}, 86_400.0),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "later"}, None),
    ],
)
def test_the_wait_a_provider_asks_for(sent: dict[str, str], expected: float | None) -> None:
    assert retry_after_s(sent, now_s=10.0) == expected


@every_adapter
def test_a_request_that_cannot_be_written_is_the_callers_mistake(name: str) -> None:
    nested: dict[str, object] = {}
    for _ in range(100_000):
        nested = {"items": nested}
    hostile = [
        Request("r", HELLO.messages, tools=(Tool("weather", "", nested),)),
        Request("r", (Message(Role.USER, (Text("lone \ud800 surrogate"),)),)),
        Request("r", (Message(Role.ASSISTANT, (), (ToolCall("a", "weather", '{"\ud800": 1}'),)),)),
    ]
    for request in hostile:
        assert request_tokens(request) >= 0
        with pytest.raises(ProviderError) as refused:
            ADAPTERS[name].prepare(request, "a-model")
        assert refused.value.kind is FailureKind.INVALID_REQUEST
