"""A streamed answer of Gemini: each server-sent event is a part of a `generateContent` answer."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from gateway.model import Request, StreamEvent, Thinking, Usage
from gateway.providers.adapter import HttpResponse
from gateway.providers.event_lines import EventLines
from gateway.providers.google_answer import (
    PROVIDER,
    Answer,
    Part,
    answer_decoder,
    arguments_of,
    candidate_of,
    finish_reason,
    refusal_of,
    usage_of,
)
from gateway.providers.http_answer import broken_answer, decode_refusal
from gateway.providers.streamed_answer import StreamedAnswer


class GoogleStream:
    """Decodes one answer; see `StreamDecoder`.

    Gemini marks the end by a candidate with a finish reason. Its event tells the usage, too; where it does
    not, the usage may come after it, until the end of the connection.
    """

    def __init__(self, request: Request, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._lines = EventLines(PROVIDER)
        self._answer = StreamedAnswer(PROVIDER, request)
        self._usage: Usage | None = None
        self._reason: str | None = None
        self.skipped = 0

    def feed(self, data: bytes) -> list[StreamEvent]:
        """See `StreamDecoder.feed`."""
        self._answer.receive(data)
        for event in self._lines.feed(data):
            self._read(event)
        return self._answer.taken()

    def end(self) -> list[StreamEvent]:
        """See `StreamDecoder.end`."""
        for event in self._lines.end():
            self._read(event)
        if self._reason is None:
            raise broken_answer(PROVIDER, "it ended without a finish reason", 200)
        self._finish()
        return self._answer.taken()

    def _read(self, data: bytes) -> None:
        if self._answer.is_finished:
            return
        response = HttpResponse(200, {}, data)
        try:
            answer = answer_decoder.decode(data)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            if "error" in decode_refusal(data):  # Google wraps it into an array at times
                raise refusal_of(response, self._now_s()) from None
            self.skipped += 1
            return
        if bytes(answer.error) != b"null":
            raise refusal_of(response, self._now_s())
        self._read_answer(answer, response)

    def _read_answer(self, answer: Answer, response: HttpResponse) -> None:
        told = usage_of(answer.usage_metadata)
        self._usage = told or self._usage
        is_blocked = answer.prompt_feedback is not None and answer.prompt_feedback.block_reason
        if not answer.candidates and not is_blocked:
            return
        candidate = candidate_of(answer, response)
        for part in (candidate.content.parts if candidate.content is not None else None) or ():
            self._read_part(part)
        self._reason = candidate.finish_reason or self._reason
        if candidate.finish_reason and told:
            self._finish()

    def _read_part(self, part: Part) -> None:
        if part.function_call is not None:
            index = self._answer.begin_call(part.function_call.id, part.function_call.name)
            self._answer.add_arguments(index, arguments_of(part.function_call))
        if part.thought:
            self._answer.note(Thinking())
        elif part.text:
            self._answer.say(part.text)

    def _finish(self) -> None:
        if not self._answer.is_finished:
            self._answer.finish(finish_reason(self._reason, self._answer.has_calls), self._usage)
