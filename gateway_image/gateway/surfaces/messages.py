"""One HTTP request and one HTTP answer, as the surfaces see them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

import msgspec

from gateway.pipeline import Access
from gateway.telemetry.record import RequestRecord

_BEARER = "bearer "
_encoder = msgspec.json.Encoder(decimal_format="number")


class Incoming(msgspec.Struct, frozen=True):
    """A request whose caller may pass. Header names are lower case; `query` is what follows the `?`."""

    headers: Mapping[str, str]
    body: bytes
    record: RequestRecord
    query: bytes = b""


class Outgoing(msgspec.Struct, frozen=True):
    """An answer; length and request id are added when it is sent."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


def bearer_key(headers: Mapping[str, str]) -> str | None:
    """The key a caller presents."""
    value = headers.get("authorization", "")
    return value[len(_BEARER) :].strip() if value[: len(_BEARER)].lower() == _BEARER else None


class Streaming(msgspec.Struct, frozen=True):
    """An answer that is sent while it is made.

    `pieces` is closed when the caller has left or the gateway stops. `last_piece` makes an error the last
    piece of an answer that cannot be finished. `close` ends whatever makes the pieces, also where none was
    ever asked for; it is awaited in any case.
    """

    pieces: AsyncGenerator[bytes, None]
    last_piece: Callable[[Outgoing], bytes]
    close: Callable[[], Awaitable[None]]
    content_type: str = "text/event-stream; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()


Handler = Callable[[Incoming], Awaitable[Outgoing | Streaming]]


class Endpoint(msgspec.Struct, frozen=True):
    """What answers one method of one path. `name` labels its metrics; `access` None needs no key."""

    name: str
    handler: Handler
    access: Access | None


Routes = Mapping[str, Mapping[str, Endpoint]]
"""Path → method → endpoint."""


def json_answer(value: object, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Outgoing:
    """`value` as JSON; floats keep every digit."""
    return Outgoing(status, _encoder.encode(value), headers=headers)
