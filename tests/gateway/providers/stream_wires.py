"""The same answer, whole and streamed, in the wire format of each provider."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from zlib import crc32

from gateway.model import Message, Request, Role, Text, Usage
from gateway.providers.adapter import Adapter
from gateway.providers.bedrock import BearerToken, BedrockAdapter
from gateway.providers.google import GoogleAdapter
from gateway.providers.llama import LlamaAdapter

REQUEST = Request("req_1", (Message(Role.USER, (Text("Good day"),)),))
Json = dict[str, object]


@dataclass(frozen=True)
class Call:
    """A tool call; `pieces` are those of its arguments' JSON text."""

    id: str | None
    name: str
    pieces: tuple[str, ...]

    @property
    def arguments(self) -> str:
        return "".join(self.pieces) or "{}"


@dataclass(frozen=True)
class Answer:
    """What a model says: `reason` is `stop` or `length`."""

    pieces: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()
    reason: str = "stop"
    usage: Usage | None = None

    @property
    def text(self) -> str:
        return "".join(self.pieces)


@dataclass(frozen=True)
class WireFormat:
    """One provider's: `events` are those of the stream, each encoded."""

    name: str
    adapter: Adapter
    whole: Callable[[Answer], Json]
    events: Callable[[Answer], list[bytes]]

    def stream(self, answer: Answer) -> bytes:
        return b"".join(self.events(answer))


def frame(headers: dict[str, str], payload: bytes) -> bytes:
    """A frame of AWS's event stream."""
    encoded = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack(">II", 16 + len(encoded) + len(payload), len(encoded))
    checked = prelude + struct.pack(">I", crc32(prelude)) + encoded + payload
    return checked + struct.pack(">I", crc32(checked))


def bedrock_event(name: str, payload: Json) -> bytes:
    headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    return frame(headers, json.dumps(payload).encode())


def compact(document: Json) -> str:
    """JSON as providers write it; so the arguments of a tool call are the same text everywhere."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def sse(document: Json | str) -> bytes:
    """A server-sent event."""
    data = document if isinstance(document, str) else compact(document)
    return b"data: " + data.encode() + b"\n\n"


def _bedrock_usage(usage: Usage) -> Json:
    return {
        "inputTokens": usage.input_tokens - usage.cached_input_tokens,
        "outputTokens": usage.output_tokens,
        "totalTokens": usage.input_tokens + usage.output_tokens,
        "cacheReadInputTokens": usage.cached_input_tokens,
    }


def _bedrock_reason(answer: Answer) -> str:
    return "max_tokens" if answer.reason == "length" else "tool_use" if answer.calls else "end_turn"


def _bedrock_whole(answer: Answer) -> Json:
    content: list[Json] = [{"text": answer.text}] if answer.text else []
    for call in answer.calls:
        content.append(
            {"toolUse": {"toolUseId": call.id or "", "name": call.name, "input": json.loads(call.arguments)}}
        )
    whole: Json = {"output": {"message": {"content": content}}, "stopReason": _bedrock_reason(answer)}
    return whole | ({"usage": _bedrock_usage(answer.usage)} if answer.usage else {})


def _bedrock_events(answer: Answer) -> list[bytes]:
    events = [bedrock_event("messageStart", {"role": "assistant"})]
    for piece in answer.pieces:
        events.append(
            bedrock_event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": piece}, "p": "abc"})
        )
    events.append(bedrock_event("contentBlockStop", {"contentBlockIndex": 0}))
    for index, call in enumerate(answer.calls, 1):
        start = {"toolUse": {"toolUseId": call.id or "", "name": call.name}}
        events.append(bedrock_event("contentBlockStart", {"contentBlockIndex": index, "start": start}))
        for piece in call.pieces:
            delta = {"toolUse": {"input": piece}}
            events.append(bedrock_event("contentBlockDelta", {"contentBlockIndex": index, "delta": delta}))
        events.append(bedrock_event("contentBlockStop", {"contentBlockIndex": index}))
    events.append(bedrock_event("messageStop", {"stopReason": _bedrock_reason(answer)}))
    metadata: Json = {"metrics": {"latencyMs": 5}}
    metadata |= {"usage": _bedrock_usage(answer.usage)} if answer.usage else {}
    return [*events, bedrock_event("metadata", metadata)]


def _google_usage(usage: Usage) -> Json:
    return {
        "promptTokenCount": usage.input_tokens,
        "candidatesTokenCount": usage.output_tokens - usage.reasoning_tokens,
        "thoughtsTokenCount": usage.reasoning_tokens,
        "cachedContentTokenCount": usage.cached_input_tokens,
    }


def _google_part(call: Call) -> Json:
    made: Json = {"name": call.name, "args": json.loads(call.arguments)}
    return {"functionCall": made | ({"id": call.id} if call.id else {})}


def _google_reason(answer: Answer) -> str:
    return "MAX_TOKENS" if answer.reason == "length" else "STOP"


def _google_whole(answer: Answer) -> Json:
    parts: list[Json] = [{"text": answer.text}] if answer.text else []
    parts += [_google_part(call) for call in answer.calls]
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": _google_reason(answer)}
    whole: Json = {"candidates": [candidate]}
    return whole | ({"usageMetadata": _google_usage(answer.usage)} if answer.usage else {})


def _google_events(answer: Answer) -> list[bytes]:
    def event(parts: list[Json]) -> Json:
        return {"candidates": [{"content": {"role": "model", "parts": parts}}]}

    events = [sse(event([{"text": piece}])) for piece in answer.pieces]
    events += [sse(event([_google_part(call)])) for call in answer.calls]
    last: Json = {"candidates": [{"finishReason": _google_reason(answer)}]}
    return [*events, sse(last | ({"usageMetadata": _google_usage(answer.usage)} if answer.usage else {}))]


def _llama_usage(usage: Usage) -> Json:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_input_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def _llama_reason(answer: Answer) -> str:
    return "length" if answer.reason == "length" else "tool_calls" if answer.calls else "stop"


def _llama_whole(answer: Answer) -> Json:
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in answer.calls
    ]
    message: Json = {"role": "assistant", "content": answer.text or None}
    message |= {"tool_calls": calls} if calls else {}
    whole: Json = {"choices": [{"index": 0, "message": message, "finish_reason": _llama_reason(answer)}]}
    return whole | ({"usage": _llama_usage(answer.usage)} if answer.usage else {})


def _llama_events(answer: Answer) -> list[bytes]:
    def event(delta: Json, reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return sse({"id": "c", "object": "chat.completion.chunk", "choices": [choice], "usage": None})

    events = [event({"role": "assistant", "content": ""})]
    events += [event({"content": piece}) for piece in answer.pieces]
    for index, call in enumerate(answer.calls):
        start = {"index": index, "id": call.id, "function": {"name": call.name, "arguments": ""}}
        events.append(event({"tool_calls": [start]}))
        for piece in call.pieces:
            events.append(event({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}))
    events.append(event({}, _llama_reason(answer)))
    if answer.usage:
        events.append(sse({"choices": [], "usage": _llama_usage(answer.usage)}))
    return [*events, sse("[DONE]")]


BEDROCK = WireFormat(
    "bedrock",
    BedrockAdapter("eu-central-1", "https://bedrock.test", lambda: BearerToken("token")),
    _bedrock_whole,
    _bedrock_events,
)
GOOGLE = WireFormat(
    "google",
    GoogleAdapter("https://google.test", "project", "eu", lambda: "token"),
    _google_whole,
    _google_events,
)
LLAMA = WireFormat("llama", LlamaAdapter("https://llama.test/v1", lambda: "key"), _llama_whole, _llama_events)
WIRES = (BEDROCK, GOOGLE, LLAMA)
