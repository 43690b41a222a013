"""An answer that is passed on while the model makes it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from typing import Protocol

from gateway.failures import Reason, RefusalError
from gateway.model import (
    Completion,
    Finished,
    Request,
    StreamEvent,
    TextDelta,
    Thinking,
    ToolCallArguments,
    ToolCallStart,
    Usage,
)
from gateway.model_call import ModelCall
from gateway.providers.adapter import FailureKind, ProviderError, StreamDecoder
from gateway.providers.token_estimate import bytes_tokens, request_tokens

QUIET_S = 10.0
"""After so long without a word the caller is told that the model is at work."""


LAST_PIECE_S = 0.1
"""How long the formal end of an answer is waited for, after everything was said."""


class Pieces(Protocol):
    """A provider's answer while it comes in; `OpenAnswer` outside of tests."""

    async def piece(self) -> bytes:
        """The next piece, empty at the end. Raises `ProviderError`."""
        ...

    def close(self) -> None:
        """End it, whole or not."""
        ...


class AnswerStream:
    """One streamed answer of which something has come already: `said`, if only after `begin`.

    `settle` takes the usage of the call, told by the provider or estimated, and whether the answer is whole,
    when the stream ends in whichever way: what was generated is paid for.
    """

    def __init__(
        self,
        call: ModelCall,
        pieces: Pieces,
        decoder: StreamDecoder,
        request: Request,
        *,
        said: list[StreamEvent],
        settle: Callable[[Usage, bool], None],
        ends_at_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._call = call
        self._pieces = pieces
        self._decoder = decoder
        self._request = request
        self._settle = settle
        self._ends_at_s = ends_at_s
        self._clock = clock
        self._said = said
        self._output_bytes = 0
        self._usage: Usage | None = None
        self._ended = False

    async def begin(self) -> None:
        """Wait for the first thing the model says.

        Raises:
            ProviderError: it said nothing.
        """
        while not any(not isinstance(event, Thinking) for event in self._said):
            self._said += await self._more()

    async def events(self) -> AsyncGenerator[StreamEvent, None]:
        """Everything that is said, and `Thinking` where the model is quiet; to be read once.

        Closing it ends the provider's work.

        Raises:
            RefusalError: the answer broke off; what was passed on before is not whole.
        """
        try:
            while self._usage is None:
                for event in self._said:
                    self._count(event)
                    yield event
                self._said = [] if self._usage is not None else await self._more_or_quiet()
        except ProviderError as error:
            self._call.broke_off(error)
            self._end(error)
            raise _broken_off(error) from None
        except BaseException as error:
            self._end(error)
            raise
        self._end(None)
        await self._let_go()

    def close(self) -> None:
        """End the provider's work, if it has not ended: for an answer that nobody came to read."""
        if not self._ended:
            for event in self._said:
                self._count(event)
            self._end(GeneratorExit())

    def _end(self, error: BaseException | None) -> None:
        if self._ended:
            return
        self._ended = True
        self._call.passed_over(self._decoder.skipped)
        if error is None:
            self._call.answered()
        else:
            self._pieces.close()
            self._call.ended_by(error)
        self._settle(self._usage or self._usage_so_far(), error is None)

    async def _more_or_quiet(self) -> list[StreamEvent]:
        try:
            async with asyncio.timeout(QUIET_S):
                return await self._more()
        except TimeoutError:
            return [Thinking()]

    async def _more(self) -> list[StreamEvent]:
        """The events of the next piece; `Finished` is among them at the end.

        Raises:
            ProviderError: there is nothing more though the answer is not whole, or it takes too long.
        """
        if self._clock() > self._ends_at_s:
            raise ProviderError(FailureKind.TIMEOUT, "the answer takes longer than any may")
        piece = await self._pieces.piece()
        if piece:
            return self._decoder.feed(piece)
        events = self._decoder.end()
        if not any(isinstance(event, Finished) for event in events):
            raise ProviderError(FailureKind.PROTOCOL, "the answer ended before it was finished")
        return events

    def _count(self, event: StreamEvent) -> None:
        match event:
            case TextDelta(text=said) | ToolCallArguments(piece=said) | ToolCallStart(name=said):
                self._output_bytes += len(said.encode("utf-8", "replace"))
            case Finished(usage=usage):
                self._usage = usage

    def _usage_so_far(self) -> Usage:
        return Usage(request_tokens(self._request), bytes_tokens(self._output_bytes), estimated=True)

    async def _let_go(self) -> None:
        """Read the end of a whole answer, which follows at once, so that the connection can serve again."""
        try:
            with contextlib.suppress(ProviderError, TimeoutError):
                async with asyncio.timeout(LAST_PIECE_S):
                    while await self._pieces.piece():
                        pass
        finally:
            self._pieces.close()


def events_of(completion: Completion) -> list[StreamEvent]:
    """A whole answer as a stream, for providers that answer at once though asked to stream."""
    events: list[StreamEvent] = [TextDelta(completion.text)] if completion.text else []
    for index, call in enumerate(completion.tool_calls):
        events.append(ToolCallStart(index, call.id, call.name))
        events.append(ToolCallArguments(index, call.arguments_json))
    return [*events, Finished(completion.finish_reason, completion.usage)]


def _broken_off(error: ProviderError) -> RefusalError:
    if error.kind is FailureKind.CONTENT_FILTER:
        return RefusalError(Reason.CONTENT_FILTER, error.message)
    if error.kind is FailureKind.TIMEOUT:
        return RefusalError(Reason.PROVIDER_TIMEOUT, "The provider did not finish its answer in time.")
    return RefusalError(Reason.PROVIDER_FAILURE, "The provider broke off its answer.")
