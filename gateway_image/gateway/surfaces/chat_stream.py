"""A streamed answer as OpenAI's chat completion chunks, sent as server-sent events.

https://platform.openai.com/docs/api-reference/chat-streaming. The first chunk carries the role, the last one
of the choice its finish reason; with `include_usage` one more has no choice but the usage, which is null on
all others. `[DONE]` ends an answer that is whole, and only such a one: a failure in the middle is an event
with `error`, after which nothing comes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable

import msgspec

from gateway.answer_stream import QUIET_S
from gateway.failures import RefusalError
from gateway.model import (
    Finished,
    FinishReason,
    StreamEvent,
    TextDelta,
    Thinking,
    ToolCallArguments,
    ToolCallStart,
    Usage,
)
from gateway.pipeline import OpenedAnswer
from gateway.surfaces.chat_answer import wire_usage
from gateway.surfaces.errors import refusal_answer
from gateway.surfaces.messages import Outgoing, Streaming
from gateway.telemetry.record import RequestRecord

PATIENCE_S = 10.0
"""How long an answer may take to begin before the caller is told that it is being worked on."""

DONE = b"data: [DONE]\n\n"
PING = b": ping\n\n"
"""A comment: clients pass over it, and load balancers see that the connection lives."""

_encode = msgspec.json.Encoder().encode


class ChunkEncoder:
    """Encodes the events of one answer. `created_s` is in seconds since the epoch."""

    def __init__(self, chunk_id: str, created_s: int, model: str, *, include_usage: bool) -> None:
        head = {"id": chunk_id, "object": "chat.completion.chunk", "created": created_s, "model": model}
        self._head = b"data: " + _encode(head)[:-1] + b',"choices":['
        self._include_usage = include_usage
        self._end = b'],"usage":null}\n\n' if include_usage else b"]}\n\n"
        self._delta = self._head + b'{"index":0,"delta":'
        self._unfinished = b',"logprobs":null,"finish_reason":null}' + self._end

    def role(self) -> bytes:
        """The chunk that begins the answer."""
        return self._delta + b'{"role":"assistant","content":"","refusal":null}' + self._unfinished

    def text(self, event: TextDelta) -> bytes:
        """A piece of the text."""
        return self._delta + b'{"content":' + _encode(event.text) + b"}" + self._unfinished

    def tool_call(self, event: ToolCallStart) -> bytes:
        """The beginning of a tool call."""
        return self._tool(
            {
                "index": event.index,
                "id": event.id,
                "type": "function",
                "function": {"name": event.name, "arguments": ""},
            }
        )

    def arguments(self, event: ToolCallArguments) -> bytes:
        """A piece of a tool call's arguments."""
        return self._tool({"index": event.index, "function": {"arguments": event.piece}})

    def finished(self, reason: FinishReason, usage: Usage) -> bytes:
        """Everything that ends a whole answer."""
        last = self._delta + b'{},"logprobs":null,"finish_reason":' + _encode(reason) + b"}" + self._end
        if not self._include_usage:
            return last + DONE
        return last + self._head + b'],"usage":' + _encode(wire_usage(usage)) + b"}\n\n" + DONE

    def _tool(self, call: dict[str, object]) -> bytes:
        return self._delta + b'{"tool_calls":[' + _encode(call) + b"]}" + self._unfinished


def error_event(error: Outgoing) -> bytes:
    """The event that ends an answer which cannot be finished."""
    return b"data: " + error.body + b"\n\n"


class ChatChunks:
    """One answer's events as they are sent. `created_s` is in seconds since the epoch.

    `before` makes the event that a surface sends ahead of the first chunk.
    """

    def __init__(
        self,
        opening: asyncio.Future[OpenedAnswer],
        request_id: str,
        created_s: int,
        *,
        include_usage: bool,
        before: Callable[[OpenedAnswer], bytes] | None = None,
    ) -> None:
        self._before = before
        self._opening = opening
        self._chunk_id = f"chatcmpl-{request_id.removeprefix('req_')}"
        self._created_s = created_s
        self._include_usage = include_usage

    async def opened_within(self, patience_s: float) -> OpenedAnswer | None:
        """The answer once something is said; None where that takes longer.

        Raises:
            RefusalError: nobody answers.
        """
        await asyncio.wait((self._opening,), timeout=patience_s)
        return self._opening.result() if self._opening.done() else None

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The chunks, after comments for as long as nothing is said; the last one tells of a failure."""
        try:
            while not self._opening.done():
                yield PING
                await asyncio.wait((self._opening,), timeout=QUIET_S)
            opened = self._opening.result()
            encoder = ChunkEncoder(
                self._chunk_id, self._created_s, opened.item.model, include_usage=self._include_usage
            )
            async with contextlib.aclosing(opened.stream.events()) as events:
                if self._before is not None:
                    yield self._before(opened)
                yield encoder.role()
                async for event in events:
                    yield _chunk(encoder, event)
        except RefusalError as refusal:
            yield error_event(refusal_answer(refusal))

    async def close(self) -> None:
        """End the answer, whether it has begun or not."""
        self._opening.cancel()
        await asyncio.wait((self._opening,))
        if not self._opening.cancelled() and self._opening.exception() is None:
            self._opening.result().stream.close()


async def stream_chat(chunks: ChatChunks, record: RequestRecord) -> Streaming:
    """Begin to stream as soon as something is said, or when the caller has waited for long.

    Raises:
        RefusalError: nobody answers, and nothing was sent yet; later that is an event.
    """
    try:
        opened = await chunks.opened_within(PATIENCE_S)
    except BaseException:
        await chunks.close()
        raise
    headers = () if opened is None else stream_headers(opened, record)
    return Streaming(chunks.pieces(), error_event, chunks.close, headers=headers)


def stream_headers(opened: OpenedAnswer, record: RequestRecord) -> tuple[tuple[str, str], ...]:
    """Who answers, by which policy, in how many attempts; the cost is not known yet."""
    return (
        ("x-route-model", f"{opened.item.key}@{opened.item.version}"),
        ("x-route-policy", opened.decision.policy_version),
        ("x-route-attempts", str(len(record.attempts) + 1)),
    )


def _chunk(encoder: ChunkEncoder, event: StreamEvent) -> bytes:
    match event:
        case TextDelta():
            return encoder.text(event)
        case ToolCallStart():
            return encoder.tool_call(event)
        case ToolCallArguments():
            return encoder.arguments(event)
        case Thinking():
            return PING
        case Finished():
            return encoder.finished(event.finish_reason, event.usage)
