"""One caller's connection: bounds what it may send before a request is whole, and speaks OpenAI's errors.

uvicorn and its parser bound neither the size of a request's head nor the time it takes, and keep adding to it
in quadratic time; the rest of HTTP is theirs.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from gateway.surfaces import errors
from gateway.surfaces.errors import ErrorForm, error_answer

MAXIMUM_HEAD_BYTES = 64 * 1024
"""Of address and headers; as much as load balancers let through."""

HEAD_TIMEOUT_S = 15.0
"""For a request's head, from its first byte; for the first one from the connection on."""


LINGER_S = 1.0
LINGER_BYTES = 1024 * 1024
"""What is read and ignored after a refusal: closing with something unread would take the answer back."""


class HeadTooLargeError(Exception):
    """A request's address and headers exceed the limit."""


class BoundedConnection(HttpToolsProtocol):
    """uvicorn's connection with limits.

    A request that comes before the one before it is answered (pipelining) is not read: the connection closes
    after the answer. Holding it back would mean not to read on, and so not to notice that the caller left.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._in_head = False
        self._head_too_large = False
        self._closing = False
        self._progressed = False
        self._bytes_without_progress = 0
        self._bytes_ignored = 0
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the request under way know that its caller left."""
        self._stop_head_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what the caller sent."""
        if self._closing:
            self._ignore(data)
            return
        self._progressed = False
        super().data_received(data)
        if self._closing:
            return
        self._bytes_without_progress = 0 if self._progressed else self._bytes_without_progress + len(data)
        if self._bytes_without_progress > MAXIMUM_HEAD_BYTES:
            self._refuse_head()

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._in_head = True
        if self._head_timer is None:
            self._start_head_timer()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; what follows a body in chunks (trailers) is none."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Hand the request over, if its head is no larger than it may be and its turn has come."""
        self._in_head = False
        self._progressed = True
        self._stop_head_timer()
        if (
            len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            > MAXIMUM_HEAD_BYTES
        ):
            self._head_too_large = True
            raise HeadTooLargeError  # the parser stops and ends in `send_400_response`
        if self._answering:
            self._closing = True
            self.cycle.keep_alive = False
            return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._progressed = True
        if not self._closing:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the request is whole."""
        self._progressed = True
        if not self._closing:
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser refuses, or this class within it."""
        if self._head_too_large:
            self._refuse_head()
        else:
            self._refuse(errors.MALFORMED, msg)

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _start_head_timer(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._head_overdue)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_overdue(self) -> None:
        self._head_timer = None
        if self._in_head:
            self._refuse(errors.TOO_SLOW, f"The head of the request took longer than {HEAD_TIMEOUT_S:g} s.")
        else:
            self._close()

    def _refuse_head(self) -> None:
        message = f"The address and headers of the request exceed the limit of {MAXIMUM_HEAD_BYTES} bytes."
        self._refuse(errors.HEAD_TOO_LARGE, message)

    def _refuse(self, form: ErrorForm, message: str) -> None:
        """End the connection, with an answer unless it would meet the one to the request before."""
        self._closing = True
        self._stop_head_timer()
        if self._answering or self.transport.is_closing():
            self._close()
            return
        body = error_answer(form, message).body
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[form.status] + head % len(body) + body)
        self.transport.write_eof()
        self._head_timer = self.loop.call_later(LINGER_S, self._close)

    def _ignore(self, data: bytes) -> None:
        self._bytes_ignored += len(data)
        if self._bytes_ignored > LINGER_BYTES and not self._answering:
            self._close()

    def _close(self) -> None:
        self._closing = True
        self._stop_head_timer()
        if self._answering:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()
