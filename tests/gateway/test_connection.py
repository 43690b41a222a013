"""What a connection may do before, between and during requests; no caller can hold up the others."""

from __future__ import annotations

import asyncio
import json
import logging
import time

import pytest

from gateway.surfaces import connection
from gateway.surfaces import http as http_surface
from tests.gateway.running import HELLO, Gateway
from tests.gateway.stores import CLIENT_KEY
from tests.gateway.upstreams import Upstreams

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMIT = connection.MAXIMUM_HEAD_BYTES
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
def gateway(shared_gateway: Gateway) -> Gateway:
    return shared_gateway


@pytest.fixture
def upstreams(shared_upstreams: Upstreams) -> Upstreams:
    shared_upstreams.reset()
    return shared_upstreams


async def connect(gateway: Gateway) -> Streams:
    return await asyncio.open_connection("127.0.0.1", gateway.port)


def post(body: bytes, *headers: str) -> bytes:
    lines = ("POST /v1/route HTTP/1.1", "host: x", f"authorization: Bearer {CLIENT_KEY}", *headers)
    return "\r\n".join((*lines, f"content-length: {len(body)}", "", "")).encode() + body


def question(model: str) -> bytes:
    return post(json.dumps({**HELLO, "model": model}).encode())


async def answer_to(gateway: Gateway, sent: bytes) -> tuple[int, dict[str, object]]:
    """The answer to `sent`, after which the connection must end."""
    reader, writer = await connect(gateway)
    writer.write(sent)
    received = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"content-type: application/json" in head
    error = json.loads(body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return int(head.split()[1]), error


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * LIMIT + b" HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\na: " + b"b" * LIMIT + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\n" + b"a: b\r\n" * (LIMIT // 6) + b"\r\n",
        b"GET /" + b"a" * 3 * LIMIT,
        b"GET / HTTP/1.1\r\nhost: x\r\na: " + b"b" * 3 * LIMIT,
    ],
    ids=["address", "header", "many headers", "address without end", "header without end"],
)
async def test_a_head_over_the_limit_is_refused(gateway: Gateway, head: bytes) -> None:
    status, error = await answer_to(gateway, head)
    assert status == 431
    assert error["code"] == "request_head_too_large"
    assert str(LIMIT) in str(error["message"])


@pytest.mark.parametrize(
    "start",
    [
        b"GET /",
        b"GET / HTTP/1.1\r\nhost: x\r\na: ",
        post(b"").replace(b"content-length: 0", b"transfer-encoding: chunked") + b"1;a=",
        post(b"").replace(b"content-length: 0", b"transfer-encoding: chunked") + b"1\r\nx\r\n0\r\na: ",
    ],
    ids=["address", "header", "extension of a chunk", "trailer"],
)
async def test_an_endless_head_ends_the_connection_and_holds_nobody_up(
    gateway: Gateway, start: bytes
) -> None:
    _, writer = await connect(gateway)
    writer.write(start)
    sent = 0
    started_s = time.monotonic()
    try:
        while sent < 200_000_000:
            writer.write(b"a" * 100_000)
            await asyncio.wait_for(writer.drain(), 5)
            sent += 100_000
    except ConnectionError:
        pass
    finally:
        writer.close()
    assert sent < 20_000_000, "the connection takes a head of any size"
    assert time.monotonic() - started_s < 3
    assert (await gateway.call("GET", "/health/live", key=None)).status == 200


async def test_a_large_body_counts_not_as_head(gateway: Gateway) -> None:
    reader, writer = await connect(gateway)
    body = json.dumps({"messages": [{"role": "user", "content": "x" * 150_000}]}).encode()
    for _ in range(2):
        writer.write(post(body)[:-1])
        await writer.drain()
        writer.write(body[-1:])
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert head.startswith(b"HTTP/1.1 200 ")
        await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
    writer.close()


async def test_a_slow_head_is_given_up(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_TIMEOUT_S", 0.2)
    status, error = await answer_to(gateway, b"GET / HTTP/1.1\r\nhost:")
    assert status == 408
    assert error["code"] == "request_timeout"
    assert "0.2 s" in str(error["message"])


async def test_a_slow_head_of_a_later_request_is_given_up(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = await connect(gateway)
    writer.write(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
    await asyncio.wait_for(reader.readuntil(b"}"), 5)
    monkeypatch.setattr(connection, "HEAD_TIMEOUT_S", 0.2)
    writer.write(b"GET / HTTP/1.1\r\nhost:")
    assert (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP/1.1 408 ")
    writer.close()


async def test_a_connection_that_never_says_anything_is_closed(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEAD_TIMEOUT_S", 0.2)
    reader, writer = await connect(gateway)
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()


async def test_neither_a_slow_answer_nor_a_rest_between_requests_is_a_slow_head(
    gateway: Gateway, upstreams: Upstreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEAD_TIMEOUT_S", 0.2)
    reader, writer = await connect(gateway)
    for _ in range(2):
        upstreams.google.hold.clear()
        writer.write(question("gemini-2.5-pro"))
        await asyncio.sleep(0.3)
        upstreams.google.hold.set()
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert head.startswith(b"HTTP/1.1 200 ")
        await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
        await asyncio.sleep(0.3)
    writer.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nno header\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_told_so_in_the_form_of_every_error(gateway: Gateway, sent: bytes) -> None:
    status, error = await answer_to(gateway, sent)
    assert status == 400
    assert error["type"] == "invalid_request_error"


async def test_a_trailer_is_no_header(gateway: Gateway) -> None:
    chunked = post(b"").replace(b"content-length: 0", b"transfer-encoding: chunked")
    unsigned = b"\r\n".join(line for line in chunked.split(b"\r\n") if not line.startswith(b"authorization"))
    reader, writer = await connect(gateway)
    writer.write(unsigned + b"2\r\n{}\r\n0\r\nauthorization: Bearer " + CLIENT_KEY.encode() + b"\r\n\r\n")
    assert (await asyncio.wait_for(reader.readuntil(b"\r\n"), 5)).startswith(b"HTTP/1.1 401 ")
    writer.close()


async def test_pipelined_requests_do_not_outlive_their_caller(
    gateway: Gateway, upstreams: Upstreams, caplog: pytest.LogCaptureFixture
) -> None:
    upstreams.google.hang = True
    _, writer = await connect(gateway)
    writer.write(question("gemini-2.5-pro") * 5)
    await asyncio.wait_for(upstreams.google.asked.wait(), 5)
    with caplog.at_level(logging.WARNING):
        writer.close()
        await asyncio.wait_for(upstreams.google.cancelled.wait(), 5)
        await asyncio.sleep(0.2)
    assert len(upstreams.google.requests) == 1
    assert gateway.application.http.in_flight == 0
    assert not caplog.records


async def test_what_is_pipelined_closes_the_connection_after_the_answer(
    gateway: Gateway, upstreams: Upstreams
) -> None:
    reader, writer = await connect(gateway)
    writer.write(question("gemini-2.5-pro") * 3)
    received = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    assert received.startswith(b"HTTP/1.1 200 ")
    assert received.count(b"HTTP/1.1 ") == 1
    assert b"\r\nconnection: close\r\n" in received
    assert len(upstreams.google.requests) == 1


async def test_a_slow_body_is_given_up(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_surface, "BODY_TIMEOUT_S", 0.3)
    reader, writer = await connect(gateway)
    writer.write(post(b"x" * 1000)[:-900])
    for _ in range(2):
        await asyncio.sleep(0.1)
        writer.write(b"x")
    received = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    assert received.startswith(b"HTTP/1.1 408 ")
    assert json.loads(received.partition(b"\r\n\r\n")[2])["error"]["code"] == "request_timeout"
    assert gateway.application.http.receiving == 0
    assert gateway.application.http.in_flight == 0
