"""One HTTP request and one HTTP answer, as the surfaces see them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from gateway.pipeline import Access
from gateway.telemetry.record import RequestRecord

_encoder = msgspec.json.Encoder(decimal_format="number")


class Incoming(msgspec.Struct, frozen=True):
    """A request whose caller may pass. Header names are lower case."""

    headers: Mapping[str, str]
    body: bytes
    record: RequestRecord


class Outgoing(msgspec.Struct, frozen=True):
    """An answer; length and request id are added when it is sent."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


Handler = Callable[[Incoming], Awaitable[Outgoing]]


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
