"""CPU time of one request, against a bare passthrough in the same run.

CPU time of the measured process alone, user and system, over many requests: unlike latency it hardly depends
on what else the machine does. Providers, stores and the load run in other processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import sys
import time
from collections.abc import AsyncIterator
from multiprocessing.connection import Connection

import aiohttp
import psutil

from tests.gateway.aws_endpoint import running_aws_endpoint
from tests.gateway.process import free_port, gateway_process, process_environment
from tests.gateway.running import token_uri
from tests.gateway.upstreams import running_upstreams

WARM_UP = 500
REQUESTS = 3000
CONCURRENCIES = (1, 16)
TARGET_MS = 1.0

MESSAGES = [
    {"role": "system", "content": "You are a helpful assistant of a European company. Answer briefly. " * 4},
    {"role": "user", "content": "Summarise the obligations of a processor under Article 28 GDPR. " * 10},
]


async def measure(
    process_id: int, url: str, body: dict[str, object], headers: dict[str, str]
) -> dict[int, float]:
    """Concurrency → CPU milliseconds a request of process `process_id`."""
    process = psutil.Process(process_id)
    told: dict[int, float] = {}
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0)) as session:
        await _load(session, url, body, WARM_UP, 16)
        for concurrency in CONCURRENCIES:
            before = process.cpu_times()
            await _load(session, url, body, REQUESTS, concurrency)
            after = process.cpu_times()
            spent_s = after.user + after.system - before.user - before.system
            told[concurrency] = spent_s / REQUESTS * 1000
    return told


async def main() -> int:
    """Measure both and print a table; 1 where the gateway misses its target."""
    async with _other_process() as (aws_url, providers_url):
        port = free_port()
        upstream = f"{providers_url}/llama/v1/chat/completions"
        bare = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.benchmarks.passthrough", str(port), upstream
        )
        try:
            await _listening(port)
            body: dict[str, object] = {"model": "x", "messages": MESSAGES}
            floor = await measure(bare.pid, f"http://127.0.0.1:{port}/", body, {})
        finally:
            bare.kill()
            await bare.wait()
        environment = process_environment(aws_url, providers_url)
        async with gateway_process(environment, log_to_nowhere=True) as gateway:
            await gateway.answers("/health/ready", 200)
            started_s = time.monotonic() - gateway.started_s
            resting_mb = psutil.Process(gateway.process.pid).memory_info().rss / 2**20
            print(f"gateway: ready after {started_s:.2f} s, {resting_mb:.0f} MB resident at rest")
            url = f"{gateway.url}/v1/chat/completions"
            rows = {"bare passthrough": floor}
            for model in ("claude-haiku-4-5", "gemini-2.5-flash", "llama-3.3-70b-instruct", "auto"):
                body = {"model": model, "messages": MESSAGES}
                rows[f"gateway, {model}"] = await measure(gateway.process.pid, url, body, gateway.headers)
            loaded_mb = psutil.Process(gateway.process.pid).memory_info().rss / 2**20
    print(f"{'CPU ms a request':34}" + "".join(f"{each:>4} concurrent" for each in CONCURRENCIES))
    for name, row in rows.items():
        print(f"{name:34}" + "".join(f"{row[each]:15.3f}" for each in CONCURRENCIES))
    print(f"{loaded_mb:.0f} MB resident after the load")
    worst_ms = max(row[16] for name, row in rows.items() if name.startswith("gateway"))
    print(f"target {TARGET_MS:g} ms at 16 concurrent: {'met' if worst_ms <= TARGET_MS else 'missed'}")
    return 0 if worst_ms <= TARGET_MS else 1


async def _load(
    session: aiohttp.ClientSession, url: str, body: dict[str, object], requests: int, concurrency: int
) -> None:
    left = iter(range(requests))

    async def one_caller() -> None:
        for _ in left:
            async with session.post(url, json=body) as response:
                assert response.status == 200, await response.text()
                await response.read()

    await asyncio.gather(*(one_caller() for _ in range(concurrency)))


@contextlib.asynccontextmanager
async def _other_process() -> AsyncIterator[tuple[str, str]]:
    """The stores and the providers in a process of their own: the addresses of both."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve_others, args=(theirs,))
    process.start()
    try:
        yield await asyncio.to_thread(ours.recv)
    finally:
        process.kill()
        process.join()


def _serve_others(told: Connection) -> None:
    async def serve() -> None:
        async with running_upstreams() as upstreams, running_aws_endpoint(token_uri(upstreams)) as aws:
            told.send((aws.url, upstreams.url))
            await asyncio.Event().wait()

    asyncio.run(serve())


async def _listening(port: int) -> None:
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
