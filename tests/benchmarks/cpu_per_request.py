"""CPU time of one request and of one streamed answer, against a bare passthrough in the same run.

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
from tests.gateway.providers.stream_wires import BEDROCK, GOOGLE, LLAMA
from tests.gateway.running import token_uri
from tests.gateway.upstreams import events, running_upstreams

REQUESTS = 3000
CONCURRENCIES = (1, 16)
TARGET_MS = 1.0
STREAMS = 600
CHUNKS = 20
PAUSE_S = 0.002
"""Between two chunks of a provider, so that each is read by itself."""

STREAM_TARGET_MS = 2.5

BARE = "bare passthrough"
MODELS = ("claude-haiku-4-5", "gemini-2.5-flash", "llama-3.3-70b-instruct", "auto")
MESSAGES = [
    {"role": "system", "content": "You are a helpful assistant of a European company. Answer briefly. " * 4},
    {"role": "user", "content": "Summarise the obligations of a processor under Article 28 GDPR. " * 10},
]


async def measure(
    process_id: int, url: str, body: dict[str, object], headers: dict[str, str], requests: int = REQUESTS
) -> dict[int, float]:
    """Concurrency → CPU milliseconds a request of process `process_id`."""
    process = psutil.Process(process_id)
    told: dict[int, float] = {}
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0)) as session:
        await _load(session, url, body, requests // 6, 16)
        for concurrency in CONCURRENCIES:
            before = process.cpu_times()
            await _load(session, url, body, requests, concurrency)
            after = process.cpu_times()
            spent_s = after.user + after.system - before.user - before.system
            told[concurrency] = spent_s / requests * 1000
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
            rows = {BARE: await measure(bare.pid, f"http://127.0.0.1:{port}/", body, {})}
            streams = {
                BARE: await measure(
                    bare.pid, f"http://127.0.0.1:{port}/", {**body, "stream": True}, {}, STREAMS
                )
            }
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
            for model in MODELS:
                body = {"model": model, "messages": MESSAGES}
                rows[f"gateway, {model}"] = await measure(gateway.process.pid, url, body, gateway.headers)
                body["stream"] = True
                streams[f"gateway, {model}"] = await measure(
                    gateway.process.pid, url, body, gateway.headers, STREAMS
                )
            loaded_mb = psutil.Process(gateway.process.pid).memory_info().rss / 2**20
    print(f"{loaded_mb:.0f} MB resident after the load")
    met = _tell("CPU ms a request", rows, TARGET_MS)
    return 0 if _tell(f"CPU ms a stream of {CHUNKS} chunks", streams, STREAM_TARGET_MS) and met else 1


def _tell(what: str, rows: dict[str, dict[int, float]], target_ms: float) -> bool:
    """Print a table; whether every row of the gateway meets the target."""
    print(f"{what:34}" + "".join(f"{each:>4} concurrent" for each in CONCURRENCIES))
    for name, row in rows.items():
        print(f"{name:34}" + "".join(f"{row[each]:15.3f}" for each in CONCURRENCIES))
    met = max(row[16] for name, row in rows.items() if name != BARE) <= target_ms
    print(f"target {target_ms:g} ms at 16 concurrent: {'met' if met else 'missed'}")
    return met


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
            for wire in (BEDROCK, GOOGLE, LLAMA):
                getattr(upstreams, wire.name).script = _slowly(events(wire, *["word "] * CHUNKS))
            told.send((aws.url, upstreams.url))
            await asyncio.Event().wait()

    asyncio.run(serve())


def _slowly(chunks: list[bytes]) -> list[bytes | float | str]:
    script: list[bytes | float | str] = []
    for chunk in chunks:
        script += [chunk, PAUSE_S]
    return script


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
