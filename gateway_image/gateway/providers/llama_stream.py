"""A streamed chat completion of an OpenAI-compatible server: chunks in server-sent events.

The shapes are OpenAI's (`openai.types.chat.ChatCompletionChunk`), kept to what such servers have in common.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from gateway.model import Request, StreamEvent, Thinking, Usage
from gateway.providers.adapter import HttpResponse
from gateway.providers.event_lines import EventLines
from gateway.providers.http_answer import broken_answer
from gateway.providers.llama_answer import PROVIDER, finish_reason, refusal_of, usage_of
from gateway.providers.streamed_answer import StreamedAnswer

_DONE = b"[DONE]"


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: msgspec.Raw = msgspec.Raw(b"null")


class _ToolCall(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _ContentPart(msgspec.Struct):
    text: str | None = None


class _Delta(msgspec.Struct):
    content: str | list[_ContentPart] | None = None
    tool_calls: list[_ToolCall] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    finish_reason: str | None = None
    index: int = 0


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = msgspec.Raw(b"null")
    error: msgspec.Raw = msgspec.Raw(b"null")
    object: str | None = None


class _Call(msgspec.Struct):
    index: int
    id: str | None


_chunk_decoder = msgspec.json.Decoder(_Chunk)
_text_decoder = msgspec.json.Decoder(str)


class LlamaStream:
    """Decodes one answer; see `StreamDecoder`. `[DONE]` ends it, and nothing else does."""

    def __init__(self, request: Request, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._lines = EventLines(PROVIDER)
        self._answer = StreamedAnswer(PROVIDER, request)
        self._calls: dict[int, _Call] = {}
        self._usage: Usage | None = None
        self._reason: str | None = None
        self._is_refused = False
        self._has_choice = False
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
        if not self._answer.is_finished:
            raise broken_answer(PROVIDER, "it ended without [DONE]", 200)
        return self._answer.taken()

    def _read(self, data: bytes) -> None:
        if self._answer.is_finished:
            return
        if data.strip() == _DONE:
            if not self._has_choice:
                raise broken_answer(PROVIDER, "it holds no choice", 200)
            reason = finish_reason(self._reason, self._answer.has_calls, self._is_refused)
            self._answer.finish(reason, self._usage)
            return
        try:
            chunk = _chunk_decoder.decode(data)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            self.skipped += 1
            return
        if bytes(chunk.error) != b"null" or chunk.object == "error":
            raise refusal_of(HttpResponse(200, {}, data), self._now_s())
        self._usage = usage_of(chunk.usage) or self._usage
        for choice in chunk.choices or ():
            if choice.index == 0:
                self._read_choice(choice)

    def _read_choice(self, choice: _Choice) -> None:
        self._has_choice = True
        delta = choice.delta
        if delta is not None:
            self._read_delta(delta)
            for call in delta.tool_calls or ():
                self._read_call(call)
        self._reason = choice.finish_reason or self._reason

    def _read_delta(self, delta: _Delta) -> None:
        content = delta.content
        if isinstance(content, list):
            content = "".join([part.text for part in content if part.text is not None])
        if content:
            self._answer.say(content)
        elif delta.refusal:
            if self._is_refused or not self._answer.has_text:
                self._answer.say(delta.refusal)
            self._is_refused = True
        elif delta.reasoning_content or delta.reasoning:
            self._answer.note(Thinking())

    def _read_call(self, piece: _ToolCall) -> None:
        function = piece.function or _Function()
        key = piece.index if piece.index is not None else self._key_without_index(piece, function)
        call = self._calls.get(key)
        if call is None or (function.name and piece.id and piece.id != call.id):
            if not function.name:
                raise broken_answer(PROVIDER, "a tool call begins without a name", 200)
            call = _Call(self._answer.begin_call(piece.id, function.name), piece.id)
            self._calls[key] = call
        self._answer.add_arguments(call.index, _arguments(bytes(function.arguments)))

    def _key_without_index(self, piece: _ToolCall, function: _Function) -> int:
        """Some servers number nothing: a name begins the next call, anything else belongs to the last one."""
        last = len(self._calls) - 1
        begins = function.name and not (last in self._calls and piece.id == self._calls[last].id is not None)
        return last + 1 if begins or last < 0 else last


def _arguments(encoded: bytes) -> str:
    """A piece of JSON as text; some servers send the object itself."""
    try:
        if encoded[:1] == b'"':
            return _text_decoder.decode(encoded)
        return "" if encoded == b"null" else encoded.decode()
    except (msgspec.MsgspecError, ValueError):
        raise broken_answer(PROVIDER, "the arguments of a tool call are not UTF-8", 200) from None
