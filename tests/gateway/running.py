"""The whole gateway on a free loopback port, inside the test's event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
from openai import AsyncOpenAI

from gateway.application import Application
from gateway.server import QuietServer, make_server
from gateway.settings import read_settings
from tests.gateway.stores import (
    ADMIN_KEY,
    AUDIT_TABLE,
    CLIENT_KEY,
    FLAG_TABLE,
    FLAGS,
    REGION,
    ROUTE_SET,
    ROUTE_SET_LIBRARY,
    TABLE,
    Stores,
    aws_session,
)
from tests.gateway.upstreams import TOKEN_PATH, Upstreams

MAXIMUM_BODY_BYTES = 200_000
OPERATOR = "anna@example.org"
HELLO = {"messages": [{"role": "user", "content": "Good day"}]}


def environment(stores: Stores, upstreams: Upstreams, **changes: str) -> dict[str, str]:
    """The container environment of the tests."""
    return {
        "ENVIRONMENT": "test",
        "AWS_REGION": REGION,
        "PORT": "8080",
        "LISTEN_ADDRESS": "127.0.0.1",
        "LOG_LEVEL": "INFO",
        "EU_ONLY": "true",
        "MODEL_REGISTRY_TABLE": TABLE,
        "ROUTE_SET_PARAMETER": ROUTE_SET,
        "ROUTE_SET_LIBRARY": ROUTE_SET_LIBRARY,
        "AUDIT_TABLE": AUDIT_TABLE,
        "FLAG_PARAMETERS": FLAGS,
        "FLAG_TABLE": FLAG_TABLE,
        "CLIENT_KEYS_SECRET": stores.arns["client"],
        "ADMIN_KEYS_SECRET": stores.arns["admin"],
        "GOOGLE_SECRET": stores.arns["google"],
        "GOOGLE_BASE_URL": upstreams.url,
        "GOOGLE_PROJECT": "test-project",
        "GOOGLE_LOCATION": "eu",
        "LLAMA_SECRET": stores.arns["llama"],
        "LLAMA_BASE_URL": f"{upstreams.url}/llama/v1",
        "PROVIDER_HOSTS": "127.0.0.1",
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": upstreams.url,
        "MAXIMUM_BODY_BYTES": str(MAXIMUM_BODY_BYTES),
        "DRAIN_TIME_S": "5",
        **changes,
    }


@dataclass
class Reply:
    """An answer as the tests look at it."""

    status: int
    headers: dict[str, str]
    body: bytes
    json: dict[str, object] = field(default_factory=dict)

    @property
    def error(self) -> dict[str, object]:
        error = self.json["error"]
        assert isinstance(error, dict)
        assert set(error) == {"message", "type", "param", "code"}
        return error


class Gateway:
    """A running gateway and the ways to call it."""

    def __init__(self, application: Application, port: int, session: aiohttp.ClientSession) -> None:
        self.application = application
        self.url = f"http://127.0.0.1:{port}"
        self.port = port
        self._session = session

    def openai(self, key: str = CLIENT_KEY, **options: object) -> AsyncOpenAI:
        return AsyncOpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0, **options)  # type: ignore[arg-type]

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str | None = CLIENT_KEY,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        sent = {"authorization": f"Bearer {key}"} if key is not None else {}
        options = {"data": body} if isinstance(body, bytes) else {"json": body} if body is not None else {}
        async with self._session.request(
            method, self.url + path, headers={**sent, **(headers or {})}, **options
        ) as response:
            content = await response.read()
            replied = {name.lower(): value for name, value in response.headers.items()}
            is_json = response.content_type == "application/json"
            return Reply(response.status, replied, content, await response.json() if is_json else {})

    async def post(self, path: str, body: object, **options: object) -> Reply:
        return await self.call("POST", path, body, **options)  # type: ignore[arg-type]

    async def route(self, **fields: object) -> Reply:
        return await self.post("/v1/route", {**HELLO, **fields})

    async def admin(
        self, path: str, body: object = None, *, key: str = ADMIN_KEY, operator: str | None = OPERATOR
    ) -> Reply:
        """Ask below /v1/admin: to change something where there is a body, else to look."""
        headers = {"x-operator": operator} if operator is not None and body is not None else {}
        method = "GET" if body is None else "POST"
        return await self.call(method, f"/v1/admin/{path}", body, key=key, headers=headers)

    def refresh(self) -> None:
        """Take up the stores now, as the background threads do every few seconds."""
        for snapshot in self.application.control.snapshots():
            snapshot.refresh()


@contextlib.asynccontextmanager
async def running_gateway(
    stores: Stores, upstreams: Upstreams, *, wait_until_ready: bool = True, **changes: str
) -> AsyncIterator[Gateway]:
    """A gateway that is ready, unless the test wants to see it before."""
    settings = read_settings(environment(stores, upstreams, PORT="1", **changes))
    application = Application(settings, session=aws_session())
    server = make_server(application, settings)
    server.config.port = 0
    application.start()
    serving = asyncio.ensure_future(server.serve())
    try:
        await _until(lambda: server.started)
        async with aiohttp.ClientSession() as session:
            gateway = Gateway(application, _port(server), session)
            if wait_until_ready:
                await _until(lambda: not application.missing())
                application.control.stop()  # from here on the test decides when to refresh
            yield gateway
    finally:
        server.should_exit = True
        await serving
        await application.stop()


def token_uri(upstreams: Upstreams) -> str:
    return upstreams.url + TOKEN_PATH


def _port(server: QuietServer) -> int:
    port: int = server.servers[0].sockets[0].getsockname()[1]
    return port


async def _until(condition: object, timeout_s: float = 20.0) -> None:
    assert callable(condition)
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - conditions, not events
            await asyncio.sleep(0.01)
