"""The gateway as the container runs it: a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp

from tests.gateway.running import MAXIMUM_BODY_BYTES
from tests.gateway.stores import (
    AUDIT_TABLE,
    CLIENT_KEY,
    FLAG_TABLE,
    FLAGS,
    REGION,
    ROUTE_SET,
    ROUTE_SET_LIBRARY,
    TABLE,
)

PACKAGE_ROOT = Path(__file__).parents[2] / "gateway_image"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def process_environment(aws_url: str, providers_url: str, **changes: str) -> dict[str, str]:
    """What the task definition gives, and where AWS is."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(PACKAGE_ROOT),
        "AWS_ACCESS_KEY_ID": "AKIATESTGATEWAY00000",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
        "AWS_ENDPOINT_URL": aws_url,
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": providers_url,
        "AWS_REGION": REGION,
        "ENVIRONMENT": "test",
        "PORT": str(free_port()),
        "LISTEN_ADDRESS": "127.0.0.1",
        "LOG_LEVEL": "INFO",
        "EU_ONLY": "true",
        "MODEL_REGISTRY_TABLE": TABLE,
        "ROUTE_SET_PARAMETER": ROUTE_SET,
        "ROUTE_SET_LIBRARY": ROUTE_SET_LIBRARY,
        "AUDIT_TABLE": AUDIT_TABLE,
        "FLAG_PARAMETERS": FLAGS,
        "FLAG_TABLE": FLAG_TABLE,
        "CLIENT_KEYS_SECRET": "client",
        "ADMIN_KEYS_SECRET": "admin",
        "GOOGLE_SECRET": "google",
        "GOOGLE_BASE_URL": providers_url,
        "GOOGLE_PROJECT": "test-project",
        "GOOGLE_LOCATION": "eu",
        "LLAMA_SECRET": "llama",
        "LLAMA_BASE_URL": f"{providers_url}/llama/v1",
        "PROVIDER_HOSTS": "127.0.0.1",
        "MAXIMUM_BODY_BYTES": str(MAXIMUM_BODY_BYTES),
        "DRAIN_TIME_S": "5",
        **changes,
    }


class GatewayProcess:
    """A started gateway; `started_s` is the time of its start on the monotonic clock."""

    def __init__(self, process: asyncio.subprocess.Process, environment: dict[str, str]) -> None:
        self.process = process
        self.environment = environment
        self.url = f"http://127.0.0.1:{environment['PORT']}"
        self.headers = {"authorization": f"Bearer {CLIENT_KEY}"}
        self.started_s = time.monotonic()

    async def answers(self, path: str, status: int, timeout_s: float = 20.0) -> None:
        """Wait until `path` answers with `status`."""
        async with asyncio.timeout(timeout_s), aiohttp.ClientSession() as session:
            while await self._status(session, path) != status:  # noqa: ASYNC110 - another process's state
                await asyncio.sleep(0.02)

    async def _status(self, session: aiohttp.ClientSession, path: str) -> int | None:
        try:
            async with session.get(self.url + path) as response:
                return response.status
        except aiohttp.ClientError:
            return None


async def run_gateway(
    environment: dict[str, str], *arguments: str, output: int = asyncio.subprocess.PIPE
) -> asyncio.subprocess.Process:
    """Start `python -m gateway`."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gateway",
        *arguments,
        env=environment,
        stdout=output,
        stderr=asyncio.subprocess.PIPE,
    )


@contextlib.asynccontextmanager
async def gateway_process(
    environment: dict[str, str], *, log_to_nowhere: bool = False
) -> AsyncIterator[GatewayProcess]:
    """A gateway that is gone afterwards, whatever the test did."""
    output = asyncio.subprocess.DEVNULL if log_to_nowhere else asyncio.subprocess.PIPE
    process = await run_gateway(environment, output=output)
    try:
        yield GatewayProcess(process, environment)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
