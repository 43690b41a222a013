"""Sends provider calls: one connection pool, deadlines, the egress guard, nothing behind one's back."""

from __future__ import annotations

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
        try:
            self._guard.check(request.url)
        except EgressRefusedError as error:
            raise ProviderError(FailureKind.UNREACHABLE, str(error)) from None
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S)
        try:
            async with self._session.request(
                request.method,
                URL(request.url, encoded=True),
                headers=request.headers,
                data=request.body,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                return HttpResponse(response.status, _headers(response), await _body(response))
        except aiohttp.ConnectionTimeoutError:
            raise ProviderError(
                FailureKind.UNREACHABLE, f"no connection within {CONNECT_TIMEOUT_S:g} s"
            ) from None
        except TimeoutError:
            raise ProviderError(FailureKind.TIMEOUT, f"no whole answer within {timeout_s:g} s") from None
        except (aiohttp.ClientConnectionError, OSError) as error:
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
