"""What a streamed answer has brought so far, as much of it as its end needs: sizes, no text."""

from __future__ import annotations

from gateway.model import (
    Finished,
    FinishReason,
    Request,
    StreamEvent,
    TextDelta,
    ToolCallArguments,
    ToolCallStart,
    Usage,
)
from gateway.providers.http_answer import MAXIMUM_ANSWER_BYTES, broken_answer
from gateway.providers.token_estimate import bytes_tokens, request_tokens


class StreamedAnswer:
    """Collects the events of one answer; `taken` hands them over.

    What a decoder says through it adds up to what `parse` makes of the same answer sent whole.
    """

    def __init__(self, provider: str, request: Request) -> None:
        self._provider = provider
        self._request = request
        self._events: list[StreamEvent] = []
        self._received_bytes = 0
        self._text_bytes = 0
        self._call_bytes: list[int] = []
        self._without_arguments: set[int] = set()
        self.is_finished = False

    @property
    def has_text(self) -> bool:
        """Whether anything was said."""
        return self._text_bytes > 0

    @property
    def has_calls(self) -> bool:
        """Whether a tool call has begun."""
        return bool(self._call_bytes)

    def receive(self, piece: bytes) -> None:
        """Note that `piece` came.

        Raises:
            ProviderError: `PROTOCOL` where the answer exceeds `MAXIMUM_ANSWER_BYTES`.
        """
        self._received_bytes += len(piece)
        if self._received_bytes > MAXIMUM_ANSWER_BYTES:
            raise broken_answer(self._provider, f"it exceeds {MAXIMUM_ANSWER_BYTES} bytes", 200)

    def say(self, text: str) -> None:
        """The next piece of the text; an empty one is passed over."""
        if text:
            self._text_bytes += _size(text)
            self._events.append(TextDelta(text))

    def note(self, event: StreamEvent) -> None:
        """An event that nothing depends on."""
        self._events.append(event)

    def begin_call(self, call_id: str | None, name: str) -> int:
        """A tool call begins; its index. Where the provider gives it no id, it gets a stable one."""
        index = len(self._call_bytes)
        self._call_bytes.append(_size(name))
        self._without_arguments.add(index)
        self._events.append(ToolCallStart(index, call_id or f"call_{self._request.id}_{index}", name))
        return index

    def add_arguments(self, index: int, piece: str) -> None:
        """The next piece of a call's arguments; an empty one is passed over."""
        if piece:
            self._call_bytes[index] += _size(piece)
            self._without_arguments.discard(index)
            self._events.append(ToolCallArguments(index, piece))

    def end_call(self, index: int) -> None:
        """A call that got no arguments has an empty object of them."""
        if index in self._without_arguments:
            self.add_arguments(index, "{}")

    def finish(self, reason: FinishReason, usage: Usage | None) -> None:
        """The answer is whole; usage that the provider does not tell is estimated."""
        for index in sorted(self._without_arguments):
            self.end_call(index)
        self._events.append(Finished(reason, usage or self._estimate()))
        self.is_finished = True

    def taken(self) -> list[StreamEvent]:
        """The events since the last time."""
        events, self._events = self._events, []
        return events

    def _estimate(self) -> Usage:
        written = bytes_tokens(self._text_bytes) + sum(map(bytes_tokens, self._call_bytes))
        return Usage(request_tokens(self._request), written, estimated=True)


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
