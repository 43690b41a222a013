"""Sends provider calls: one connection pool, deadlines, the egress guard, nothing behind one's back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import aiohttp
from yarl import URL

from gateway.providers.adapter import FailureKind, HttpRequest, HttpResponse, ProviderError
from gateway.providers.http_answer import MAXIMUM_ANSWER_BYTES, printable
from gateway.safety.residency import EgressGuard, EgressRefusedError

CONNECT_TIMEOUT_S = 3.0
IDLE_CONNECTION_S = 30.0
DNS_CACHE_S = 30
HEADERS = {"accept-encoding": "identity", "user-agent": "ai-orchestration-gateway"}


class Transport:
    """One session to all providers. Make and close it inside the event loop."""

    def __init__(self, guard: EgressGuard) -> None:
        self._guard = guard
        connector = aiohttp.TCPConnector(
            limit=0, ttl_dns_cache=DNS_CACHE_S, keepalive_timeout=IDLE_CONNECTION_S
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=HEADERS,
            trust_env=False,
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

    async def send(self, request: HttpRequest, timeout_s: float) -> HttpResponse:
        """Send `request` and read the whole answer within `timeout_s` seconds.

        Raises:
            ProviderError: `UNREACHABLE`, `TIMEOUT`, or `PROTOCOL` for an answer that cannot be used.
        """
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S)
        with _failures_told_apart(f"no whole answer within {timeout_s:g} s"):
            async with self._request(request, timeout) as response:
                return HttpResponse(response.status, _headers(response), await _body(response))

    async def open(self, request: HttpRequest, *, first_byte_s: float, idle_s: float) -> OpenAnswer:
        """Send `request` and return once its answer begins, within `first_byte_s` seconds.

        The rest is read as it comes, with at most `idle_s` seconds between two pieces. Close what is
        returned.

        Raises:
            ProviderError: as `send`.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=idle_s)
        with _failures_told_apart(f"no answer began within {first_byte_s:g} s"):
            async with asyncio.timeout(first_byte_s):
                response = await self._request(request, timeout)
            try:
                return OpenAnswer(response, _headers(response), idle_s)
            except ProviderError:
                response.close()
                raise

    def _request(
        self, request: HttpRequest, timeout: aiohttp.ClientTimeout
    ) -> aiohttp.client._RequestContextManager:
        try:
            self._guard.check(request.url)
        except EgressRefusedError as error:
            raise ProviderError(FailureKind.UNREACHABLE, str(error)) from None
        return self._session.request(
            request.method,
            URL(request.url, encoded=True),
            headers=request.headers,
            data=request.body,
            timeout=timeout,
            allow_redirects=False,
        )


class OpenAnswer:
    """A provider's answer while it is coming in. Header names are lower case."""

    def __init__(self, response: aiohttp.ClientResponse, headers: dict[str, str], idle_s: float) -> None:
        self.status = response.status
        self.headers = headers
        self._response = response
        self._idle_s = idle_s

    async def piece(self) -> bytes:
        """The next piece, as it came over the wire; empty at the end.

        What is not asked for stays with the provider: a slow reader holds the sender up.

        Raises:
            ProviderError: `TIMEOUT` where nothing came for too long, `UNREACHABLE` where the connection
                broke.
        """
        with _failures_told_apart(f"nothing more within {self._idle_s:g} s"):
            return await self._response.content.readany()

    async def whole(self) -> HttpResponse:
        """All of it, for an answer that turned out to be no stream.

        Raises:
            ProviderError: as `piece`, or `PROTOCOL` where it is too large.
        """
        with _failures_told_apart(f"nothing more within {self._idle_s:g} s"):
            return HttpResponse(self.status, self.headers, await _body(self._response))

    def close(self) -> None:
        """End it; a provider that is still sending notices at once. Closing twice does nothing."""
        self._response.close()


@contextlib.contextmanager
def _failures_told_apart(overdue: str) -> Iterator[None]:
    try:
        yield
    except aiohttp.ConnectionTimeoutError:
        raise ProviderError(
            FailureKind.UNREACHABLE, f"no connection within {CONNECT_TIMEOUT_S:g} s"
        ) from None
    except TimeoutError:
        raise ProviderError(FailureKind.TIMEOUT, overdue) from None
    except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, OSError) as error:
        raise ProviderError(FailureKind.UNREACHABLE, _told(error)) from None
    except (aiohttp.ClientError, ValueError) as error:
        raise ProviderError(FailureKind.PROTOCOL, _told(error)) from None


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {printable(str(error), 300)}"


def _headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    """The headers by lower-case name.

    Raises:
        ProviderError: `PROTOCOL` for a redirect, which is never followed, or a compressed body.
    """
    status = response.status
    if 300 <= status < 400:
        raise ProviderError(
            FailureKind.PROTOCOL, f"redirected with status {status}, not followed", status=status
        )
    headers = {name.lower(): value for name, value in response.headers.items()}
    encoding = headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise ProviderError(
            FailureKind.PROTOCOL, f"answer encoded as {printable(encoding, 40)!r}, unasked", status=status
        )
    return headers


async def _body(response: aiohttp.ClientResponse) -> bytes:
    announced = response.content_length or 0
    chunks: list[bytes] = []
    received = 0
    while announced <= MAXIMUM_ANSWER_BYTES:
        chunk = await response.content.readany()
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)
        received += len(chunk)
        announced = max(announced, received)
    raise ProviderError(
        FailureKind.PROTOCOL, f"answer exceeds {MAXIMUM_ANSWER_BYTES} bytes", status=response.status
    )
