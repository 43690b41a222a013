"""The container's process: it starts, says what is wrong, lives through missing stores, and drains."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.gateway.aws_endpoint import AwsEndpoint, running_aws_endpoint
from tests.gateway.process import gateway_process, process_environment, run_gateway
from tests.gateway.running import HELLO, token_uri
from tests.gateway.upstreams import Upstreams

MEDICAL = {**HELLO, "domain": "medical"}


@pytest.fixture
async def aws(upstreams: Upstreams) -> AsyncIterator[AwsEndpoint]:
    async with running_aws_endpoint(token_uri(upstreams)) as endpoint:
        yield endpoint


async def test_it_becomes_ready_answers_and_logs_one_line_without_bodies_and_keys(
    aws: AwsEndpoint, upstreams: Upstreams
) -> None:
    upstreams.bedrock.text = "the secret answer"
    async with gateway_process(process_environment(aws.url, upstreams.url)) as gateway:
        await gateway.answers("/health/ready", 200)
        async with (
            aiohttp.ClientSession(headers=gateway.headers) as session,
            session.post(f"{gateway.url}/v1/route", json=MEDICAL) as response,
        ):
            assert response.status == 200
            request_id = response.headers["x-request-id"]
        health = await run_gateway(gateway.environment, "health")
        assert await health.wait() == 0
        gateway.process.send_signal(signal.SIGTERM)
        output, errors = await gateway.process.communicate()
    assert gateway.process.returncode == 0
    assert errors == b""
    lines = [json.loads(line) for line in output.splitlines()]
    told = [line for line in lines if line.get("request_id") == request_id]
    assert len(told) == 1
    assert told[0]["status"] == 200
    assert told[0]["decision"]["chosen"] == "bedrock#claude-sonnet-4-5"
    assert told[0]["attempts"][0]["outcome"] == "answered"
    assert told[0]["usage"]["input_tokens"] == 11
    for private in (b"the secret answer", b"Good day", b"client-key-of-the-tests", b"PRIVATE KEY"):
        assert private not in output


async def test_without_stores_it_is_live_but_not_ready(upstreams: Upstreams) -> None:
    nowhere = "http://127.0.0.1:9"
    async with gateway_process(process_environment(nowhere, upstreams.url)) as gateway:
        await gateway.answers("/health/live", 200)
        async with aiohttp.ClientSession(headers=gateway.headers) as session:
            async with session.get(f"{gateway.url}/health/ready") as response:
                assert response.status == 503
                assert "registry" in (await response.json())["waiting_for"]
            async with session.post(f"{gateway.url}/v1/route", json=HELLO) as response:
                assert response.status == 503
                assert (await response.json())["error"]["code"] == "not_ready"


async def test_told_to_stop_it_is_not_ready_and_finishes_what_is_under_way(
    aws: AwsEndpoint, upstreams: Upstreams
) -> None:
    async with gateway_process(process_environment(aws.url, upstreams.url)) as gateway:
        await gateway.answers("/health/ready", 200)
        upstreams.bedrock.hold.clear()
        async with aiohttp.ClientSession(headers=gateway.headers) as session:
            asking = asyncio.ensure_future(session.post(f"{gateway.url}/v1/route", json=MEDICAL))
            await asyncio.wait_for(upstreams.bedrock.asked.wait(), 5)
            gateway.process.send_signal(signal.SIGTERM)
            await gateway.answers("/health/ready", 503)
            upstreams.bedrock.hold.set()
            async with await asking as response:
                assert response.status == 200
        assert await asyncio.wait_for(gateway.process.wait(), 5) == 0


async def test_the_drain_time_ends_what_does_not_finish(aws: AwsEndpoint, upstreams: Upstreams) -> None:
    upstreams.bedrock.hang = True
    async with gateway_process(process_environment(aws.url, upstreams.url, DRAIN_TIME_S="1")) as gateway:
        await gateway.answers("/health/ready", 200)
        async with aiohttp.ClientSession(headers=gateway.headers) as session:
            asking = asyncio.ensure_future(session.post(f"{gateway.url}/v1/route", json=MEDICAL))
            await asyncio.wait_for(upstreams.bedrock.asked.wait(), 5)
            told_s = time.monotonic()
            gateway.process.send_signal(signal.SIGTERM)
            async with await asking as response:
                assert response.status == 503
                assert (await response.json())["error"]["code"] == "not_ready"
            assert await asyncio.wait_for(gateway.process.wait(), 10) == 0
            assert 1.0 <= time.monotonic() - told_s < 5.0


async def test_a_body_that_does_not_end_does_not_use_up_the_drain_time(
    aws: AwsEndpoint, upstreams: Upstreams
) -> None:
    async with gateway_process(process_environment(aws.url, upstreams.url, DRAIN_TIME_S="60")) as gateway:
        await gateway.answers("/health/ready", 200)
        reader, writer = await asyncio.open_connection("127.0.0.1", int(gateway.environment["PORT"]))
        key = gateway.headers["authorization"]
        writer.write(f"POST /v1/route HTTP/1.1\r\nauthorization: {key}\r\ncontent-length: 9\r\n\r\n".encode())
        await asyncio.sleep(0.2)
        gateway.process.send_signal(signal.SIGTERM)
        assert (await asyncio.wait_for(reader.readline(), 15)).startswith(b"HTTP/1.1 503 ")
        writer.close()
        assert await asyncio.wait_for(gateway.process.wait(), 5) == 0


async def test_every_mistake_in_the_environment_is_named_at_once() -> None:
    environment = process_environment("http://127.0.0.1:9", "http://127.0.0.1:9")
    environment |= {"PORT": "eighty", "EU_ONLY": "perhaps", "PROVIDER_HOSTS": "https://example.org/x"}
    del environment["ROUTE_SET_PARAMETER"]
    process = await run_gateway(environment)
    _, errors = await process.communicate()
    assert process.returncode == 1
    told = errors.decode()
    for name in ("PORT", "EU_ONLY", "PROVIDER_HOSTS", "ROUTE_SET_PARAMETER"):
        assert name in told
    assert "Traceback" not in told


async def test_a_port_that_is_taken_ends_the_start(upstreams: Upstreams) -> None:
    taken = upstreams.url.rpartition(":")[2]
    process = await run_gateway(process_environment("http://127.0.0.1:9", upstreams.url, PORT=taken))
    output, _ = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode != 0
    assert b"address already in use" in output


async def test_the_health_command_fails_where_nothing_listens() -> None:
    process = await run_gateway(process_environment("http://127.0.0.1:9", "http://127.0.0.1:9"), "health")
    _, errors = await process.communicate()
    assert process.returncode == 1
    assert b"not live" in errors


async def test_an_unknown_command_is_explained() -> None:
    process = await run_gateway(process_environment("http://127.0.0.1:9", "http://127.0.0.1:9"), "serve-me")
    _, errors = await process.communicate()
    assert process.returncode == 2
    assert b"python -m gateway" in errors
