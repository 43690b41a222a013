"""Sends a streamed answer as the behaviour in force says: event by event, broken, slowly or not at all."""

from __future__ import annotations

import asyncio
import random

from aiohttp import web

from local.providers import stream_events
from local.providers.behaviour import Behaviour
from local.providers.faults import disconnect

_GARBAGE_BYTES = 200
_OVERSIZE_BYTES = 3 * 1024 * 1024
_OF_THE_END = {"bedrock": 2, "google": 1, "llama": 1}
"""Events that mark the end, or come after it."""

_FAULTS_OF_THE_WHOLE = frozenset({"hang", "reset", "close"})


async def send_stream(
    request: web.Request,
    behaviour: Behaviour,
    provider: str,
    events: list[bytes],
    error: dict[str, object],
) -> web.StreamResponse:
    """Stream `events`; `error` is what the provider would say of a failure in between."""
    fault = behaviour.fault
    kind = fault.kind if fault is not None else None
    if kind in _FAULTS_OF_THE_WHOLE:
        await disconnect(request, kind)
    headers = {"content-type": stream_events.content_type(provider)}
    if fault is not None and kind == "content_type":
        headers["content-type"] = fault.content_type
    response = web.StreamResponse(status=200, headers=headers)
    response.enable_chunked_encoding()
    await response.prepare(request)
    if kind == "garbage":
        await response.write(random.Random(0).randbytes(_GARBAGE_BYTES))  # noqa: S311
        return response
    after = fault.after_events if fault is not None else 0
    for sent, event in enumerate(_with_fault(provider, kind, events, error, after)):
        if kind in ("cut", "stall") and sent == after:
            await disconnect(request, "hang" if kind == "stall" else "close")
        if fault is not None and kind == "slow":
            await _write_slowly(response, event, fault.after_bytes, fault.pause_ms / 1000)
        else:
            await response.write(event)
        if behaviour.event_pause_ms:
            await asyncio.sleep(behaviour.event_pause_ms / 1000)
    return response


def _with_fault(
    provider: str, kind: str | None, events: list[bytes], error: dict[str, object], after: int
) -> list[bytes]:
    """`events` as a fault inside of the stream leaves them."""
    match kind:
        case "error_event":
            return [*events[:after], stream_events.failure(provider, error)]
        case "garbage_event":
            return [*events[:after], stream_events.garbage(provider), *events[after:]]
        case "oversize_event":
            return [*events[:after], _oversize(provider), *events[after:]]
        case "no_end":
            return events[: -_OF_THE_END[provider]]
    return events


def _oversize(provider: str) -> bytes:
    payload = b'"' + b"x" * _OVERSIZE_BYTES + b'"'
    if provider == "bedrock":
        return stream_events.frame({":event-type": "contentBlockDelta", ":message-type": "event"}, payload)
    return b"data: " + payload + b"\r\n\r\n"


async def _write_slowly(response: web.StreamResponse, event: bytes, size: int, pause_s: float) -> None:
    for start in range(0, len(event), max(1, size)):
        await response.write(event[start : start + max(1, size)])
        await asyncio.sleep(pause_s)
