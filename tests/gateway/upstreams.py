"""Stand-ins for the three providers on loopback: each answers in its own wire format, or fails as told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from aiohttp import web

from gateway.model import Usage
from tests.gateway.providers.stream_wires import BEDROCK, GOOGLE, LLAMA, Answer, WireFormat

TOKEN_PATH = "/token"
CUT, SILENCE = "cut", "silence"
TOLD = Usage(input_tokens=11, output_tokens=7)


@dataclass
class Behaviour:
    """What one provider does: `status` other than 200 is an error, `hang` never answers, `cut` drops the
    connection, and while `hold` is cleared the answer waits. `key` is the one accepted; None: any.

    A streamed answer follows `script`, `text` said in two pieces where there is none: bytes are sent, after
    seconds it goes on, `CUT` breaks the connection, `SILENCE` says nothing more. One that does not stream
    answers as if it had not been asked to."""

    text: str = "Good day."
    status: int = 200
    hang: bool = False
    cut: bool = False
    tool: tuple[str, dict[str, object]] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    key: str | None = None
    refused: int = 0
    script: list[bytes | float | str] | None = None
    streams: bool = True
    requests: list[dict[str, object]] = field(default_factory=list)
    hold: asyncio.Event = field(default_factory=lambda: _set(asyncio.Event()))
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Upstreams:
    """All providers behind one loopback server."""

    url: str = ""
    bedrock: Behaviour = field(default_factory=Behaviour)
    google: Behaviour = field(default_factory=Behaviour)
    llama: Behaviour = field(default_factory=Behaviour)
    tokens_given: int = 0

    def reset(self) -> None:
        """Make every provider answer again, and forget what was asked."""
        self.bedrock, self.google, self.llama = Behaviour(), Behaviour(), Behaviour()

    async def token(self, _request: web.Request) -> web.Response:
        self.tokens_given += 1
        return web.json_response(
            {"access_token": f"token-{self.tokens_given}", "expires_in": 3600, "token_type": "Bearer"}
        )

    async def converse(self, request: web.Request) -> web.StreamResponse:
        behaviour = self.bedrock
        await _behave(behaviour, request)
        if behaviour.status != 200:
            return _failure(behaviour, {"message": "bedrock says no"})
        if request.path.endswith("/converse-stream"):
            return await _stream(behaviour, request, BEDROCK, "application/vnd.amazon.eventstream")
        content: list[dict[str, object]] = [{"text": behaviour.text}]
        if behaviour.tool:
            name, arguments = behaviour.tool
            content = [{"toolUse": {"toolUseId": "tooluse_1", "name": name, "input": arguments}}]
        return web.json_response(
            {
                "output": {"message": {"role": "assistant", "content": content}},
                "stopReason": "tool_use" if behaviour.tool else "end_turn",
                "usage": {"inputTokens": 11, "outputTokens": 7, "totalTokens": 18},
                "metrics": {"latencyMs": 12},
            }
        )

    async def generate(self, request: web.Request) -> web.StreamResponse:
        behaviour = self.google
        await _behave(behaviour, request)
        if not _is_accepted(behaviour, request):
            return web.json_response(
                {"error": {"code": 401, "message": "no", "status": "UNAUTHENTICATED"}}, status=401
            )
        if behaviour.status != 200:
            return _failure(behaviour, {"error": {"code": behaviour.status, "message": "no", "status": "X"}})
        if request.path.endswith(":streamGenerateContent"):
            return await _stream(behaviour, request, GOOGLE, "text/event-stream")
        parts: list[dict[str, object]] = [{"text": behaviour.text}]
        if behaviour.tool:
            name, arguments = behaviour.tool
            parts = [{"functionCall": {"name": name, "args": arguments}}]
        return web.json_response(
            {
                "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}],
                "usageMetadata": {"promptTokenCount": 11, "candidatesTokenCount": 7, "totalTokenCount": 18},
            }
        )

    async def complete(self, request: web.Request) -> web.StreamResponse:
        behaviour = self.llama
        await _behave(behaviour, request)
        if not _is_accepted(behaviour, request):
            return web.json_response({"error": {"message": "no", "code": "invalid_api_key"}}, status=401)
        if behaviour.status != 200:
            return _failure(behaviour, {"error": {"message": "no", "type": "x", "param": None, "code": None}})
        if behaviour.requests[-1].get("stream") and behaviour.streams:
            return await _stream(behaviour, request, LLAMA, "text/event-stream")
        return web.json_response(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1,
                "model": "llama",
                "choices": [
                    {
                        "index": 0,
                        "finish_reason": "stop",
                        "message": {"role": "assistant", "content": behaviour.text},
                    }
                ],
                "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
            }
        )


def _set(event: asyncio.Event) -> asyncio.Event:
    event.set()
    return event


@contextlib.asynccontextmanager
async def running_upstreams() -> AsyncIterator[Upstreams]:
    """The providers, listening on a free port."""
    upstreams = Upstreams()
    application = web.Application()
    application.router.add_post(TOKEN_PATH, upstreams.token)
    application.router.add_post("/model/{model}/converse", upstreams.converse)
    application.router.add_post("/model/{model}/converse-stream", upstreams.converse)
    application.router.add_post("/v1/projects/{rest:.*}", upstreams.generate)
    application.router.add_post("/llama/v1/chat/completions", upstreams.complete)
    runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    upstreams.url = f"http://{host}:{port}"
    try:
        yield upstreams
    finally:
        await runner.cleanup()


async def _behave(behaviour: Behaviour, request: web.Request) -> None:
    behaviour.requests.append(await request.json())
    behaviour.asked.set()
    await behaviour.hold.wait()
    if behaviour.cut and request.transport is not None:
        request.transport.close()
    if behaviour.hang:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            behaviour.cancelled.set()
            raise


def events(wire: WireFormat, *pieces: str) -> list[bytes]:
    """What a provider sends, event by event, who says `pieces`."""
    return wire.events(Answer(pieces=pieces, usage=TOLD))


async def _stream(
    behaviour: Behaviour, request: web.Request, wire: WireFormat, content_type: str
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-type": content_type})
    await response.prepare(request)
    half = len(behaviour.text) // 2
    script = behaviour.script or events(wire, behaviour.text[:half], behaviour.text[half:])
    try:
        for step in script:
            if isinstance(step, bytes):
                await response.write(step)
            elif isinstance(step, float):
                await asyncio.sleep(step)
            elif step == CUT and request.transport is not None:
                request.transport.abort()
            else:
                await asyncio.sleep(3600)
    except (asyncio.CancelledError, ConnectionResetError):
        behaviour.cancelled.set()
        raise
    return response


def _failure(behaviour: Behaviour, body: dict[str, object]) -> web.Response:
    return web.json_response(body, status=behaviour.status, headers=behaviour.headers)


def _is_accepted(behaviour: Behaviour, request: web.Request) -> bool:
    if behaviour.key is None or request.headers["authorization"] == f"Bearer {behaviour.key}":
        return True
    behaviour.refused += 1
    return False
