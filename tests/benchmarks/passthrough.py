"""The least a Python proxy can do: forward the body to one address, answer with the reply as it comes.

`python -m tests.benchmarks.passthrough <port> <upstream address>`
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import aiohttp
import uvicorn
import uvloop

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope


async def main(port: int, upstream: str) -> None:
    """Serve until killed."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def forward(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
            assert scope["type"] == "http"
            event = await receive()
            assert event["type"] == "http.request"
            async with session.post(upstream, data=event["body"]) as response:
                if response.content_type == "text/event-stream":
                    await _pass_on(response, send)
                    return
                body = await response.read()
            headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers, "trailers": False})
            await send({"type": "http.response.body", "body": body, "more_body": False})

        config = uvicorn.Config(
            forward,
            host="127.0.0.1",
            port=port,
            http="httptools",
            loop="none",
            lifespan="off",
            log_config=None,
        )
        await uvicorn.Server(config).serve()


async def _pass_on(response: aiohttp.ClientResponse, send: ASGISendCallable) -> None:
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers, "trailers": False})
    async for piece in response.content.iter_any():
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2]))
