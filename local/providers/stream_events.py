"""Whole answers as the events in which each provider streams them, encoded for the wire."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Mapping
from zlib import crc32

import msgspec

Json = dict[str, object]
_WORD = re.compile(r"\s*\S+\s*")
_ARGUMENT_PIECE = 12


class _Wire(msgspec.Struct, frozen=True):
    """How one provider streams."""

    content_type: str
    events: Callable[[Json], Iterator[bytes]]
    failure: Callable[[Json], bytes]
    garbage: bytes


def streamed(provider: str, answer: Json) -> list[bytes]:
    """The events of `answer`, which is the whole one in the provider's format."""
    return list(_WIRES[provider].events(answer))


def content_type(provider: str) -> str:
    """Under which the provider streams."""
    return _WIRES[provider].content_type


def failure(provider: str, error: Json) -> bytes:
    """An event that tells of a failure; `error` is the body of the provider's error answer."""
    return _WIRES[provider].failure(error)


def garbage(provider: str) -> bytes:
    """An event that is well framed and nothing else."""
    return _WIRES[provider].garbage


def _pieces(text: str) -> list[str]:
    """A word at a time, as tokens come."""
    return _WORD.findall(text) or ([text] if text else [])


# ---- Bedrock: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html ----


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """A frame of AWS's event stream."""
    encoded = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value.encode())) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack(">II", 16 + len(encoded) + len(payload), len(encoded))
    checked = prelude + struct.pack(">I", crc32(prelude)) + encoded + payload
    return checked + struct.pack(">I", crc32(checked))


def _bedrock_event(name: str, payload: Json | bytes) -> bytes:
    headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    return frame(headers, payload if isinstance(payload, bytes) else msgspec.json.encode(payload))


def _bedrock(answer: Json) -> Iterator[bytes]:
    yield _bedrock_event("messageStart", {"role": "assistant"})
    output = msgspec.convert(answer["output"], dict[str, Json])
    for index, block in enumerate(msgspec.convert(output["message"]["content"], list[Json])):
        yield from _bedrock_block(index, block)
        yield _bedrock_event("contentBlockStop", {"contentBlockIndex": index})
    yield _bedrock_event("messageStop", {"stopReason": answer["stopReason"]})
    metadata: Json = {name: value for name, value in answer.items() if name in ("usage", "metrics")}
    yield _bedrock_event("metadata", metadata)


def _bedrock_block(index: int, block: Json) -> Iterator[bytes]:
    def delta(content: Json) -> bytes:
        return _bedrock_event("contentBlockDelta", {"contentBlockIndex": index, "delta": content})

    if "text" in block:
        for piece in _pieces(str(block["text"])):
            yield delta({"text": piece})
        return
    use = msgspec.convert(block["toolUse"], Json)
    start = {"toolUse": {"toolUseId": use["toolUseId"], "name": use["name"]}}
    yield _bedrock_event("contentBlockStart", {"contentBlockIndex": index, "start": start})
    arguments = msgspec.json.encode(use["input"]).decode()
    for at in range(0, len(arguments), _ARGUMENT_PIECE):
        yield delta({"toolUse": {"input": arguments[at : at + _ARGUMENT_PIECE]}})


def _bedrock_failure(error: Json) -> bytes:
    headers = {
        ":exception-type": "throttlingException",
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return frame(headers, msgspec.json.encode(error))


# ---- Google and Llama: server-sent events ----


def _event(data: Json | bytes) -> bytes:
    return b"data: " + (data if isinstance(data, bytes) else msgspec.json.encode(data)) + b"\r\n\r\n"


def _google(answer: Json) -> Iterator[bytes]:
    """Gemini sends a tool call at once, and the reason and the usage with the last part."""
    (candidate,) = msgspec.convert(answer["candidates"], list[Json])
    content = msgspec.convert(candidate["content"], Json)
    parts: list[Json] = []
    for part in msgspec.convert(content.get("parts", []), list[Json]):
        if "text" in part:
            parts += ({"text": piece} for piece in _pieces(str(part["text"])))
        else:
            parts.append(part)
    shared = {name: value for name, value in answer.items() if name not in ("candidates", "usageMetadata")}
    for part in parts:
        yield _event({"candidates": [{"content": {"role": "model", "parts": [part]}, "index": 0}], **shared})
    last: Json = {"content": {"role": "model"}, "finishReason": candidate["finishReason"], "index": 0}
    usage = {"usageMetadata": answer["usageMetadata"]} if "usageMetadata" in answer else {}
    yield _event({"candidates": [last], **usage, **shared})


def _llama(answer: Json) -> Iterator[bytes]:
    (choice,) = msgspec.convert(answer["choices"], list[Json])
    message = msgspec.convert(choice["message"], Json)
    head = {name: answer[name] for name in ("id", "created", "model")} | {"object": "chat.completion.chunk"}

    def chunk(delta: Json, reason: object = None) -> bytes:
        one = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return _event({**head, "choices": [one]})

    yield chunk({"role": "assistant", "content": ""})
    for piece in _pieces(str(message["content"] or "")):
        yield chunk({"content": piece})
    for index, call in enumerate(msgspec.convert(message.get("tool_calls", []), list[Json])):
        function = msgspec.convert(call["function"], dict[str, str])
        begun = {"index": index, **call, "function": {"name": function["name"], "arguments": ""}}
        yield chunk({"tool_calls": [begun]})
        for at in range(0, len(function["arguments"]), _ARGUMENT_PIECE):
            piece = function["arguments"][at : at + _ARGUMENT_PIECE]
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield chunk({}, choice["finish_reason"])
    if "usage" in answer:
        yield _event({**head, "choices": [], "usage": answer["usage"]})
    yield _event(b"[DONE]")


_WIRES: Mapping[str, _Wire] = {
    "bedrock": _Wire(
        "application/vnd.amazon.eventstream",
        _bedrock,
        _bedrock_failure,
        _bedrock_event("contentBlockDelta", b"{no json"),
    ),
    "google": _Wire("text/event-stream", _google, _event, _event(b"{no json")),
    "llama": _Wire("text/event-stream; charset=utf-8", _llama, _event, _event(b"{no json")),
}
