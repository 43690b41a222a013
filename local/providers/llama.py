"""Simulated Llama server with OpenAI's chat completions, judged by the openai SDK's own types."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import cast

import msgspec
import pydantic
from openai.types.chat import ChatCompletionMessageParam
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsNonStreaming,
    CompletionCreateParamsStreaming,
)

from local.providers.credentials import check_llama
from local.providers.exchange import (
    Asked,
    Choice,
    KnownCredentials,
    OfferedTool,
    Received,
    RefusalError,
    Reply,
)
from local.providers.issued_keys import IssuedKeys

Json = dict[str, object]

_TYPES = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("permission_error", None),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}
_DATA_URL = re.compile(r"data:image/(png|jpeg|jpg|gif|webp);base64,[A-Za-z0-9+/]+=*|https?://.+")


class Llama:
    """The chat completions wire format."""

    name = "llama"

    def __init__(self, issued: IssuedKeys | None = None) -> None:
        self._issued = issued or IssuedKeys()

    def authorise(self, received: Received, known: KnownCredentials, now_s: float) -> None:  # noqa: ARG002
        """See `Wire.authorise`."""
        check_llama(received, known, self._issued)

    def read(self, model: str, body: bytes) -> Asked:
        """See `Wire.read`. The model is named in the body; `model` is what the server read there."""
        document = _document(body)
        _check_types(document)
        messages = cast(list[Json], document["messages"])
        _check_conversation(messages)
        tools = _tools(document)
        choice, named = _choice(document, tools)
        stop = document.get("stop") or []
        maximum = document.get("max_tokens") or document.get("max_completion_tokens")
        return Asked(
            model=model,
            last_user_text=_last_user_text(messages),
            prompt_bytes=len(body),
            tools=tools,
            choice=choice,
            named_tool=named,
            maximum_tokens=cast("int | None", maximum),
            tells_usage=_tells_usage(document),
            stop=(stop,) if isinstance(stop, str) else tuple(cast(list[str], stop)),
        )

    def write(self, asked: Asked, reply: Reply) -> Json:
        """See `Wire.write`."""
        message: Json = {"role": "assistant", "content": reply.text or None, "refusal": None}
        calls = [
            {
                "id": call.id or f"call_{index}",
                "type": "function",
                "function": {
                    "name": call.name,
                    "arguments": call.arguments
                    if isinstance(call.arguments, str)
                    else msgspec.json.encode(call.arguments).decode(),
                },
            }
            for index, call in enumerate(reply.tool_calls)
        ]
        if calls:
            message["tool_calls"] = calls
        answer: Json = {
            "id": "chatcmpl-simulated",
            "object": "chat.completion",
            "created": 1767225600,
            "model": asked.model,
            "choices": [
                {"index": 0, "message": message, "logprobs": None, "finish_reason": reply.finish_reason}
            ],
        }
        if reply.usage is not None and asked.tells_usage:
            usage = reply.usage
            answer["usage"] = {
                "prompt_tokens": usage.input_tokens,
                "completion_tokens": usage.output_tokens,
                "total_tokens": usage.input_tokens + usage.output_tokens,
                "prompt_tokens_details": {"cached_tokens": usage.cached_input_tokens},
                "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
            }
        return answer

    def write_error(self, status: int, code: str, message: str) -> tuple[Json, dict[str, str]]:
        """See `Wire.write_error`."""
        category, usual = _TYPES.get(status, ("server_error", None))
        error = {"message": message, "type": category, "param": None, "code": code or usual}
        return {"error": error}, {}


class Named(msgspec.Struct):
    """What the server must know of a body before it is judged."""

    model: str = ""
    stream: bool | None = None


def body_named(body: bytes) -> Named:
    """The model a body names, empty where it names none, and whether it asks for a stream."""
    try:
        return msgspec.json.decode(body, type=Named)
    except (msgspec.MsgspecError, ValueError):
        return Named()


def _document(body: bytes) -> Json:
    try:
        return msgspec.json.decode(body, type=dict[str, object])
    except (msgspec.MsgspecError, ValueError):
        raise RefusalError(400, "We could not parse the JSON body of your request.") from None


@functools.cache
def _whole(*, streams: bool) -> pydantic.TypeAdapter[object]:
    return pydantic.TypeAdapter(
        CompletionCreateParamsStreaming if streams else CompletionCreateParamsNonStreaming
    )


@functools.cache
def _one_message() -> pydantic.TypeAdapter[ChatCompletionMessageParam]:
    return pydantic.TypeAdapter(ChatCompletionMessageParam)


def _check_types(document: Json) -> None:
    """The SDK's types, with their lazily validated iterables read to the end."""
    streams = document.get("stream") is True
    if "stream_options" in document and not streams:
        raise RefusalError(400, "The 'stream_options' parameter is only allowed when 'stream' is enabled.")
    unknown = set(document) - set(CompletionCreateParamsNonStreaming.__annotations__) - _inherited()
    if unknown:
        raise RefusalError(400, f"Unrecognized request arguments supplied: {', '.join(sorted(unknown))}")
    try:
        _exhaust(_whole(streams=streams).validate_python(document, strict=True))
        for message in cast(list[Json], document["messages"]):
            _exhaust(_one_message().validate_python(message, strict=True))
    except pydantic.ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()[:3])
        raise RefusalError(400, f"Invalid request: {found}") from None


@functools.cache
def _inherited() -> frozenset[str]:
    return frozenset(CompletionCreateParamsNonStreaming.__required_keys__) | frozenset(
        CompletionCreateParamsNonStreaming.__optional_keys__
    )


def _exhaust(value: object) -> None:
    if isinstance(value, dict):
        for element in value.values():
            _exhaust(element)
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
        for element in value:
            _exhaust(element)


def _check_conversation(messages: list[Json]) -> None:
    """The rules that the types do not express."""
    if not messages:
        raise RefusalError(400, "Invalid 'messages': empty array. Expected an array with minimum length 1.")
    pending: list[str] = []
    for index, message in enumerate(messages):
        if message["role"] == "tool":
            if message["tool_call_id"] not in pending:
                raise RefusalError(
                    400,
                    f"messages.{index}: role 'tool' must respond to a preceding message with 'tool_calls'.",
                )
            pending.remove(str(message["tool_call_id"]))
            continue
        if pending:
            raise RefusalError(
                400,
                "'tool_calls' must be followed by tool messages responding to each 'tool_call_id'.",
            )
        pending = [str(call["id"]) for call in cast(list[Json], message.get("tool_calls", []))]
        _check_images(message)


def _check_images(message: Json) -> None:
    content = message.get("content")
    for part in cast(list[dict[str, dict[str, str]]], content) if isinstance(content, list) else []:
        if "image_url" in part and not _DATA_URL.fullmatch(part["image_url"]["url"]):
            raise RefusalError(400, "Invalid image data.", code="invalid_image")


def _tools(document: Json) -> tuple[OfferedTool, ...]:
    functions = [
        cast(dict[str, Json], tool)["function"] for tool in cast(list[Json], document.get("tools") or [])
    ]
    return tuple(
        OfferedTool(str(each["name"]), cast(dict[str, object], each.get("parameters") or {}))
        for each in functions
    )


def _choice(document: Json, tools: tuple[OfferedTool, ...]) -> tuple[Choice, str | None]:
    choice = document.get("tool_choice") or ("auto" if tools else "none")
    if not tools and "tool_choice" in document:
        raise RefusalError(400, "'tool_choice' is only allowed when 'tools' are specified.")
    if isinstance(choice, str):
        return cast(Choice, choice), None
    named = cast(dict[str, dict[str, str]], choice)["function"]["name"]
    if named not in {tool.name for tool in tools}:
        raise RefusalError(400, f"Tool choice '{named}' not found in 'tools' parameter.")
    return "named", named


def _tells_usage(document: Json) -> bool:
    """A stream tells it where that is asked for, a whole answer always."""
    options = cast(Json, document.get("stream_options") or {})
    return document.get("stream") is not True or options.get("include_usage") is True


def _last_user_text(messages: list[Json]) -> str:
    for message in reversed(messages):
        content = message.get("content")
        if message["role"] != "user":
            continue
        if isinstance(content, str):
            return content
        parts = cast(list[dict[str, str]], content)
        return "\n".join(part["text"] for part in parts if part["type"] == "text")
    return ""
