"""Sends an answer as the behaviour in force says: whole, broken, slowly or not at all."""

from __future__ import annotations

import asyncio
import random
import socket
import struct

import msgspec
from aiohttp import web

from local.providers.behaviour import Fault

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_GARBAGE_BYTES = 200


async def send(
    request: web.Request, fault: Fault | None, status: int, headers: dict[str, str], body: dict[str, object]
) -> web.StreamResponse:
    """Answer `request`, unless the fault prevents that."""
    encoded = msgspec.json.encode(body)
    headers = {"content-type": "application/json", **headers}
    match fault.kind if fault is not None else None:
        case "hang" | "reset" | "close" as kind:
            await disconnect(request, kind)
        case "cut":
            return await _send_part(request, status, headers, encoded, _present(fault).after_bytes)
        case "slow":
            return await _send_slowly(request, status, headers, encoded, _present(fault))
        case "garbage":
            encoded = random.Random(0).randbytes(_GARBAGE_BYTES)  # noqa: S311
        case "content_type":
            headers["content-type"] = _present(fault).content_type
    return web.Response(status=status, headers=headers, body=encoded)


async def disconnect(request: web.Request, kind: str | None) -> None:
    """Say nothing more: never (`hang`), or end the connection by a reset (`reset`) or a close."""
    if kind == "hang":
        await asyncio.Event().wait()
    _drop(request, reset=kind == "reset")


async def _send_part(
    request: web.Request, status: int, headers: dict[str, str], body: bytes, after_bytes: int
) -> web.StreamResponse:
    response = web.StreamResponse(status=status, headers={**headers, "content-length": str(len(body))})
    await response.prepare(request)
    await response.write(body[: min(after_bytes, len(body) - 1)])
    _drop(request, reset=False)
    return response


async def _send_slowly(
    request: web.Request, status: int, headers: dict[str, str], body: bytes, fault: Fault
) -> web.StreamResponse:
    response = web.StreamResponse(status=status, headers={**headers, "content-length": str(len(body))})
    await response.prepare(request)
    size = max(1, fault.after_bytes)
    for start in range(0, len(body), size):
        await response.write(body[start : start + size])
        await asyncio.sleep(fault.pause_ms / 1000)
    return response


def _drop(request: web.Request, *, reset: bool) -> None:
    transport = request.transport
    if transport is None:
        return
    connection = transport.get_extra_info("socket")
    if reset and connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()
    else:
        transport.close()


def _present(fault: Fault | None) -> Fault:
    return fault if fault is not None else Fault(kind="status")
