"""A streamed Converse answer: JSON events in AWS's binary frames, the same for every model.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from gateway.model import Request, StreamEvent, Thinking
from gateway.providers.adapter import HttpResponse, ProviderError
from gateway.providers.aws_event_stream import EventStream, Frame
from gateway.providers.bedrock_answer import PROVIDER, finish_reason, refusal_of, usage_of
from gateway.providers.http_answer import broken_answer
from gateway.providers.streamed_answer import StreamedAnswer

_STATUSES = {"modelStreamErrorException": 424}
"""Statuses of exceptions that only streams have; of all others the name is enough."""


class _ToolStart(msgspec.Struct, rename="camel"):
    name: str
    tool_use_id: str = ""


class _Start(msgspec.Struct, rename="camel"):
    tool_use: _ToolStart | None = None


class _ToolInput(msgspec.Struct):
    input: str = ""


class _Delta(msgspec.Struct, rename="camel"):
    text: str | None = None
    tool_use: _ToolInput | None = None
    reasoning_content: msgspec.Raw = msgspec.Raw(b"null")


class _Block(msgspec.Struct, rename="camel"):
    """`contentBlockStart`, `contentBlockDelta` and `contentBlockStop`."""

    content_block_index: int = 0
    start: _Start | None = None
    delta: _Delta | None = None


class _Stop(msgspec.Struct, rename="camel"):
    stop_reason: str


class _Metadata(msgspec.Struct):
    usage: msgspec.Raw = msgspec.Raw(b"null")


_block_decoder = msgspec.json.Decoder(_Block)
_stop_decoder = msgspec.json.Decoder(_Stop)
_metadata_decoder = msgspec.json.Decoder(_Metadata)


class BedrockStream:
    """Decodes one answer; see `StreamDecoder`. `messageStop` ends it, and `metadata` then tells the usage."""

    def __init__(self, request: Request, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._frames = EventStream(PROVIDER)
        self._answer = StreamedAnswer(PROVIDER, request)
        self._calls: dict[int, int] = {}
        self._stop_reason: str | None = None
        self.skipped = 0

    def feed(self, data: bytes) -> list[StreamEvent]:
        """See `StreamDecoder.feed`."""
        self._answer.receive(data)
        for frame in self._frames.feed(data):
            self._read(frame)
        return self._answer.taken()

    def end(self) -> list[StreamEvent]:
        """See `StreamDecoder.end`."""
        if self._answer.is_finished:
            return []
        if self._stop_reason is None:
            raise broken_answer(PROVIDER, "it ended without messageStop", 200)
        self._finish(msgspec.Raw(b"null"))
        return self._answer.taken()

    def _read(self, frame: Frame) -> None:
        if self._answer.is_finished:
            return
        if frame.headers.get(":message-type") in ("exception", "error"):
            raise self._refusal(frame)
        try:
            self._read_event(frame.headers.get(":event-type", ""), frame.payload)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            self.skipped += 1

    def _read_event(self, event: str, payload: bytes) -> None:
        match event:
            case "contentBlockDelta":
                self._read_delta(_block_decoder.decode(payload))
            case "contentBlockStart":
                self._read_start(_block_decoder.decode(payload))
            case "contentBlockStop":
                index = self._calls.pop(_block_decoder.decode(payload).content_block_index, None)
                if index is not None:
                    self._answer.end_call(index)
            case "messageStop":
                self._stop_reason = _stop_decoder.decode(payload).stop_reason
            case "metadata" if self._stop_reason is not None:
                self._finish(_metadata_decoder.decode(payload).usage)

    def _read_start(self, block: _Block) -> None:
        tool = block.start.tool_use if block.start is not None else None
        if tool is not None:
            self._calls[block.content_block_index] = self._answer.begin_call(tool.tool_use_id, tool.name)

    def _read_delta(self, block: _Block) -> None:
        delta = block.delta
        if delta is None:
            return
        if delta.text:
            self._answer.say(delta.text)
        elif delta.tool_use is not None:
            index = self._calls.get(block.content_block_index)
            if index is None:
                raise broken_answer(PROVIDER, "the arguments of a tool call came before the call", 200)
            self._answer.add_arguments(index, delta.tool_use.input)
        elif bytes(delta.reasoning_content) != b"null":
            self._answer.note(Thinking())

    def _finish(self, usage: msgspec.Raw) -> None:
        reason = finish_reason(self._stop_reason or "", self._answer.has_calls)
        self._answer.finish(reason, usage_of(usage))

    def _refusal(self, frame: Frame) -> ProviderError:
        """Exceptions are named like the errors of whole answers, but for the first letter."""
        named = frame.headers.get(":exception-type") or frame.headers.get(":error-code", "")
        code = named[:1].upper() + named[1:]
        body = frame.payload
        if frame.headers.get(":message-type") == "error":
            body = msgspec.json.encode({"message": frame.headers.get(":error-message", "")})
        response = HttpResponse(_STATUSES.get(named, 500), {"x-amzn-errortype": code}, body)
        error = refusal_of(response, self._now_s())
        error.status = 200
        return error
