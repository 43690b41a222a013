"""Provider calls over real connections: failures are told apart, and nothing leaves for other hosts."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.providers import transport as transport_module
from gateway.providers.adapter import FailureKind, HttpRequest, ProviderError
from gateway.providers.transport import OpenAnswer, Transport
from gateway.safety.residency import EgressGuard, EgressRefusedError

LOOPBACK = frozenset({"127.0.0.1"})


def get(url: str) -> HttpRequest:
    return HttpRequest("POST", url, {"content-type": "application/json"}, b"{}")


@asynccontextmanager
async def server(answer: bytes, *, then_hang: bool = False) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that sends `answer`, byte for byte, to every request."""
    received: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        received.append(head + await reader.readexactly(2))
        writer.write(answer)
        if then_hang:
            await reader.read()
        writer.close()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield f"http://127.0.0.1:{port}", received


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    transport = Transport(EgressGuard(LOOPBACK))
    yield transport
    await transport.close()


async def failure(transport: Transport, url: str, timeout_s: float = 5.0) -> ProviderError:
    with pytest.raises(ProviderError) as failed:
        await transport.send(get(url), timeout_s)
    return failed.value


async def test_an_answer_arrives_whole_with_lower_case_headers(transport: Transport) -> None:
    async with server(b"HTTP/1.1 418 Teapot\r\nX-Kind: Tea\r\ncontent-length: 3\r\n\r\nhot") as (
        url,
        received,
    ):
        answer = await transport.send(get(f"{url}/model/a%3A0/converse"), 5)
    assert (answer.status, answer.body, answer.headers["x-kind"]) == (418, b"hot", "Tea")
    assert received[0].startswith(b"POST /model/a%3A0/converse HTTP/1.1\r\n")
    assert b"accept-encoding: identity" in received[0].lower()


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/v1",
        "http://127.0.0.1.example.org/",
        "http://127.0.0.1@example.org/",
        "http://localhost/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "//127.0.0.1/",
        "http://[::1",
        "http://127.0.0.1:port/",
        "",
    ],
)
async def test_no_call_leaves_for_a_host_that_is_not_declared(transport: Transport, url: str) -> None:
    assert (await failure(transport, url)).kind is FailureKind.UNREACHABLE


def test_the_guard_lets_declared_hosts_pass_whatever_their_case() -> None:
    guard = EgressGuard(frozenset({"EU-Aiplatform.googleapis.com", "llama.internal:8443"}))
    guard.check("https://eu-aiplatform.googleapis.com/v1")
    guard.check("https://llama.internal:8443/v1")
    with pytest.raises(EgressRefusedError):
        guard.check("https://llama.internal:9443/v1")
    with pytest.raises(EgressRefusedError, match="PROVIDER_HOSTS"):
        guard.check("https://us-aiplatform.googleapis.com/v1")


def test_a_guard_without_hosts_lets_nothing_pass() -> None:
    with pytest.raises(EgressRefusedError):
        EgressGuard(frozenset()).check("https://bedrock-runtime.eu-central-1.amazonaws.com/")


async def test_a_redirect_is_not_followed(transport: Transport) -> None:
    redirect = b"HTTP/1.1 302 Found\r\nlocation: http://example.org/\r\ncontent-length: 0\r\n\r\n"
    async with server(redirect) as (url, received):
        assert (await failure(transport, url)).kind is FailureKind.PROTOCOL
    assert len(received) == 1


async def test_an_encoding_nobody_asked_for_is_refused(transport: Transport) -> None:
    async with server(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1\r\n\r\nx") as (url, _):
        assert (await failure(transport, url)).kind is FailureKind.PROTOCOL


@pytest.mark.parametrize("head", [b"content-length: 11\r\n", b""])
async def test_an_answer_over_the_limit_is_refused(
    transport: Transport, monkeypatch: pytest.MonkeyPatch, head: bytes
) -> None:
    monkeypatch.setattr(transport_module, "MAXIMUM_ANSWER_BYTES", 10)
    async with server(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + b"x" * 11) as (url, _):
        assert (await failure(transport, url)).kind is FailureKind.PROTOCOL


async def test_an_answer_that_takes_too_long_is_a_timeout(transport: Transport) -> None:
    async with server(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nx", then_hang=True) as (url, _):
        assert (await failure(transport, url, 0.1)).kind is FailureKind.TIMEOUT


async def test_nobody_listening_is_unreachable(transport: Transport) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        assert (await failure(transport, url)).kind is FailureKind.UNREACHABLE


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx"])
async def test_a_connection_that_ends_early_is_no_answer(transport: Transport, answer: bytes) -> None:
    async with server(answer) as (url, _):
        assert (await failure(transport, url)).kind in (FailureKind.UNREACHABLE, FailureKind.PROTOCOL)


async def test_what_is_no_http_is_a_broken_protocol(transport: Transport) -> None:
    async with server(b"SSH-2.0-OpenSSH\r\n\r\n") as (url, _):
        assert (await failure(transport, url)).kind is FailureKind.PROTOCOL


async def test_no_proxy_of_the_environment_is_used(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with server(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nproxy") as (proxy, asked_proxy):
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        async with server(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\ndirect") as (url, _):
            answer = await transport.send(get(url), 5)
    assert answer.body == b"direct", "the call went through the proxy that the environment names"
    assert not asked_proxy


async def test_no_cookie_is_carried_from_one_call_to_the_next(transport: Transport) -> None:
    answer = (
        b"HTTP/1.1 200 OK\r\nset-cookie: tenant=a; Path=/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    )
    async with server(answer) as (address, received):
        url = address.replace("127.0.0.1", "localhost")  # cookie jars keep none for bare addresses
        named = Transport(EgressGuard(frozenset({"localhost"})))
        try:
            for _ in range(2):
                assert (await named.send(get(url), 5)).headers["set-cookie"].startswith("tenant=a")
        finally:
            await named.close()
        for _ in range(2):
            await transport.send(get(address), 5)
    assert len(received) == 4
    assert not any(b"cookie" in head.lower() for head in received), (
        "a cookie of one call is sent with the next"
    )


async def test_a_host_that_does_not_take_the_connection_is_given_up_before_the_deadline(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport_module, "CONNECT_TIMEOUT_S", 0.2)
    with contextlib.ExitStack() as sockets:
        full = sockets.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):  # fill the queue of connections nobody accepts: further ones hang
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        failed = await failure(transport, f"http://127.0.0.1:{full.getsockname()[1]}", 3.0)
    assert failed.kind is FailureKind.UNREACHABLE, "a host that is gone counts as one that is slow"
    assert "0.2 s" in failed.message


# ---- answers that are read while they come ----


@asynccontextmanager
async def pieces_of(*pieces: bytes, then_hang: bool = False) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """A server that sends `pieces` one by one, and notes when its caller has left."""
    left = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(2)
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for piece in pieces:
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await writer.drain()
            await asyncio.sleep(0.01)
        if then_hang:
            await reader.read()
            left.set()
        else:
            writer.write(b"0\r\n\r\n")
        writer.close()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield f"http://127.0.0.1:{port}", left


async def rest(answer: OpenAnswer) -> bytes:
    read = b""
    while piece := await answer.piece():
        read += piece
    return read


async def test_pieces_pass_as_they_come(transport: Transport) -> None:
    async with pieces_of(b"one", b"two") as (url, _left):
        answer = await transport.open(get(url), first_byte_s=5, idle_s=5)
        assert [await answer.piece() for _ in range(3)] == [b"one", b"two", b""]


async def test_an_answer_that_does_not_begin_is_a_timeout(transport: Transport) -> None:
    async with server(b"", then_hang=True) as (url, _):
        with pytest.raises(ProviderError, match=r"no answer began within 0\.1 s") as failed:
            await transport.open(get(url), first_byte_s=0.1, idle_s=5)
    assert failed.value.kind is FailureKind.TIMEOUT


async def test_silence_between_two_pieces_is_a_timeout(transport: Transport) -> None:
    async with pieces_of(b"one", then_hang=True) as (url, _left):
        answer = await transport.open(get(url), first_byte_s=5, idle_s=0.1)
        assert await answer.piece() == b"one"
        with pytest.raises(ProviderError, match=r"nothing more within 0\.1 s") as failed:
            await answer.piece()
        answer.close()
    assert failed.value.kind is FailureKind.TIMEOUT


async def test_a_connection_cut_in_the_middle_is_no_end(transport: Transport) -> None:
    cut = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n"
    async with server(cut) as (url, _):
        answer = await transport.open(get(url), first_byte_s=5, idle_s=5)
        with pytest.raises(ProviderError) as failed:
            await rest(answer)
        answer.close()
    assert failed.value.kind is FailureKind.UNREACHABLE


async def test_a_provider_notices_at_once_that_nobody_reads_on(transport: Transport) -> None:
    async with pieces_of(b"one", then_hang=True) as (url, left):
        answer = await transport.open(get(url), first_byte_s=5, idle_s=5)
        assert await answer.piece() == b"one"
        answer.close()
        async with asyncio.timeout(0.1):
            await left.wait()


async def test_an_answer_that_is_no_stream_can_be_read_whole(transport: Transport) -> None:
    async with server(b"HTTP/1.1 429 Slow\r\nretry-after: 3\r\ncontent-length: 2\r\n\r\n{}") as (url, _):
        answer = await transport.open(get(url), first_byte_s=5, idle_s=5)
        whole = await answer.whole()
    assert (whole.status, whole.headers["retry-after"], whole.body) == (429, "3", b"{}")


async def test_a_stream_leaves_for_no_host_that_is_not_declared(transport: Transport) -> None:
    with pytest.raises(ProviderError) as failed:
        await transport.open(get("https://example.org/v1"), first_byte_s=5, idle_s=5)
    assert failed.value.kind is FailureKind.UNREACHABLE
