"""The ASGI application below the HTTP surfaces: routes, keys, body limit, errors, log line, metrics."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, TypeVar

from gateway.failures import Reason, RefusalError
from gateway.surfaces import errors
from gateway.surfaces.errors import HttpError, error_answer, refusal_answer
from gateway.surfaces.messages import Endpoint, Incoming, Outgoing, Routes, Streaming, bearer_key
from gateway.telemetry.record import RequestRecord

if TYPE_CHECKING:
    from gateway.pipeline import Pipeline
    from gateway.telemetry.metrics import Metrics

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
T = TypeVar("T")

CLIENT_CLOSED_REQUEST = 499
"""The status logged for a caller who left; nginx's convention, it is never sent."""

BODY_TIMEOUT_S = 30.0
"""For a request's body, from its head on."""

SLOWEST_READER_S = 30.0
"""A caller that takes no piece of a stream for so long is taken for gone; until then the provider waits."""

ONCE = frozenset({"authorization", "x-domain", "x-budget-tier", "x-sla-ms", "x-require-tools", "x-operator"})
"""Headers that must not be repeated: which one counts would be anybody's guess."""

UNKNOWN = "unknown"

logger = logging.getLogger(__name__)


class ClientGoneError(Exception):
    """The caller closed the connection before the answer."""


class HttpApplication:
    """Dispatches requests to endpoints; every answer passes through here, errors included."""

    def __init__(
        self, routes: Routes, pipeline: Pipeline, metrics: Metrics, *, maximum_body_bytes: int
    ) -> None:
        self._routes = routes
        self._pipeline = pipeline
        self._metrics = metrics
        self._maximum_body_bytes = maximum_body_bytes
        self.in_flight = 0
        self.receiving = 0
        """How many of those in flight are not whole yet."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            raise RuntimeError(f"{scope['type']} connections are not served")
        started_s = time.perf_counter()
        record = RequestRecord(f"req_{os.urandom(12).hex()}")
        endpoint: Endpoint | None = None
        status = CLIENT_CLOSED_REQUEST
        self._begin()
        try:
            try:
                endpoint = self._endpoint(scope)
                outgoing = await self._answered(endpoint, scope, receive, record)
            except ClientGoneError:
                return
            except BaseException as error:
                outgoing = _told(error, record)
            if isinstance(outgoing, Streaming):
                with contextlib.suppress(ClientGoneError):
                    status = await self._stream(outgoing, receive, send, record)
            else:
                status = outgoing.status
                await _send(outgoing, record.request_id, send)
        finally:
            self._end(scope, endpoint, status, time.perf_counter() - started_s, record)

    async def _stream(self, outgoing: Streaming, receive: Receive, send: Send, record: RequestRecord) -> int:
        """Send an answer while it is made; the status that was sent, or that of what broke it.

        Raises:
            ClientGoneError: the caller left, or takes nothing any more.
        """
        try:
            await _unless_gone(_send_stream(outgoing, record.request_id, send), receive)
        except ClientGoneError:
            raise
        except BaseException as error:  # a part was sent: whatever happens is told within the answer
            told = _told(error, record)
            await _finish(send, outgoing.last_piece(told))
            return told.status
        finally:
            await outgoing.close()
        return 200

    def _endpoint(self, scope: Scope) -> Endpoint:
        path, method = scope["path"], scope["method"]
        methods = self._routes.get(path)
        if methods is None:
            raise HttpError(errors.NOT_FOUND, f"Unknown request URL: {method} {path[:200]}.")
        endpoint = methods.get(method)
        if endpoint is None:
            allowed = ", ".join(methods)
            raise HttpError(
                errors.METHOD_NOT_ALLOWED, f"{path} answers {allowed}, not {method}.", (("allow", allowed),)
            )
        return endpoint

    async def _answered(
        self, endpoint: Endpoint, scope: Scope, receive: Receive, record: RequestRecord
    ) -> Outgoing | Streaming:
        headers = _read_headers(scope["headers"])
        if endpoint.access is not None:
            await self._pipeline.authenticate(bearer_key(headers), endpoint.access)
        body = await self._body(headers, receive)
        incoming = Incoming(headers, body, record, scope.get("query_string", b""))
        return await _unless_gone(endpoint.handler(incoming), receive)

    async def _body(self, headers: dict[str, str], receive: Receive) -> bytes:
        announced = headers.get("content-length", "0")
        if announced.isdecimal() and int(announced) > self._maximum_body_bytes:
            raise self._too_large()
        self.receiving += 1
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                return await self._whole_body(receive)
        except TimeoutError:
            message = f"The body of the request took longer than {BODY_TIMEOUT_S:g} s."
            raise HttpError(errors.TOO_SLOW, message, (("connection", "close"),)) from None
        finally:
            self.receiving -= 1

    async def _whole_body(self, receive: Receive) -> bytes:
        chunks: list[bytes] = []
        received = 0
        more = True
        while more:
            event = await receive()
            if event["type"] == "http.disconnect":
                raise ClientGoneError
            chunk: bytes = event.get("body", b"")
            chunks.append(chunk)
            received += len(chunk)
            if received > self._maximum_body_bytes:
                raise self._too_large()
            more = event.get("more_body", False)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _too_large(self) -> HttpError:
        message = f"The request body exceeds the limit of {self._maximum_body_bytes} bytes."
        return HttpError(errors.BODY_TOO_LARGE, message, (("connection", "close"),))

    def _begin(self) -> None:
        self.in_flight += 1
        self._metrics.in_flight.inc()

    def _end(
        self, scope: Scope, endpoint: Endpoint | None, status: int, duration_s: float, record: RequestRecord
    ) -> None:
        self.in_flight -= 1
        self._metrics.in_flight.dec()
        surface = endpoint.name if endpoint is not None else UNKNOWN
        self._metrics.request_ended(surface, status, duration_s)
        polled = endpoint is not None and endpoint.access is None
        logger.log(
            logging.DEBUG if polled else logging.INFO,
            "request",
            extra={
                "method": scope["method"],
                "surface": surface,
                "status": status,
                "duration_ms": round(duration_s * 1000, 3),
                **record.log_fields(),
            },
        )


def _told(error: BaseException, record: RequestRecord) -> Outgoing:
    """What a caller is told of an exception.

    Raises:
        BaseException: it is none of a request, such as an exit.
    """
    match error:
        case RefusalError():
            return refusal_answer(error)
        case HttpError():
            return error_answer(error.form, error.message, headers=error.headers)
        case asyncio.CancelledError():  # by the server, whose drain time is over
            return refusal_answer(RefusalError(Reason.NOT_READY, "The gateway stops; try again."))
        case Exception():
            logger.error("request broken", exc_info=error, extra={"request_id": record.request_id})
            message = f"The gateway failed to handle this request. Its id is {record.request_id}."
            return error_answer(errors.INTERNAL, message)
    raise error


def _read_headers(raw: list[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, value in raw:
        name = raw_name.decode("latin-1")
        if name in headers and name in ONCE:
            raise RefusalError(
                Reason.INVALID_REQUEST, f"Header {name} is given twice; give it once.", parameter=name
            )
        headers[name] = value.decode("latin-1")
    return headers


async def _unless_gone(work: Awaitable[T], receive: Receive) -> T:
    """Wait for `work`, but cancel it, and the provider call in it, as soon as the caller has left.

    Raises:
        ClientGoneError: the caller left.
    """
    worker = asyncio.current_task()
    assert worker is not None  # noqa: S101 - a coroutine always runs in a task
    gone = done = False

    def leave(watch: asyncio.Task[Event]) -> None:
        nonlocal gone
        if not done and not watch.cancelled():
            gone = True
            worker.cancel()

    watcher = asyncio.ensure_future(_disconnection(receive))
    watcher.add_done_callback(leave)
    try:
        return await work
    except asyncio.CancelledError:
        if not gone:
            raise
        worker.uncancel()
        raise ClientGoneError from None
    finally:
        done = True
        watcher.cancel()


async def _disconnection(receive: Receive) -> Event:
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            return event


async def _send(outgoing: Outgoing, request_id: str, send: Send) -> None:
    headers = (("content-length", str(len(outgoing.body))), *outgoing.headers)
    await send(_head(outgoing.status, outgoing.content_type, request_id, headers))
    await send({"type": "http.response.body", "body": outgoing.body})


async def _send_stream(outgoing: Streaming, request_id: str, send: Send) -> None:
    """Send piece by piece, each when the one before has left.

    Raises:
        ClientGoneError: the caller takes nothing any more.
    """
    headers = (("cache-control", "no-store"), ("x-accel-buffering", "no"), *outgoing.headers)
    async with contextlib.aclosing(outgoing.pieces) as pieces:
        await send(_head(200, outgoing.content_type, request_id, headers))
        async for piece in pieces:
            await _taken(send({"type": "http.response.body", "body": piece, "more_body": True}))
    await _finish(send, b"")


async def _finish(send: Send, last_piece: bytes) -> None:
    await send({"type": "http.response.body", "body": last_piece})


async def _taken(sending: Awaitable[None]) -> None:
    try:
        async with asyncio.timeout(SLOWEST_READER_S):
            await sending
    except TimeoutError:
        raise ClientGoneError from None


def _head(status: int, content_type: str, request_id: str, headers: tuple[tuple[str, str], ...]) -> Event:
    """The event that begins an answer."""
    all_headers = (("content-type", content_type), ("x-request-id", request_id), *headers)
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in all_headers]
    return {"type": "http.response.start", "status": status, "headers": encoded}
