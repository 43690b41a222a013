"""Access tokens for Vertex AI from a service-account key.

OAuth 2.0 for service accounts, RFC 7523: a signed assertion is exchanged for a token that lives an
hour. `cryptography` signs it; google-auth would bring its own HTTP stack for these lines.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlencode, urlsplit

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gateway.providers.adapter import FailureKind, HttpRequest, HttpResponse, ProviderError
from gateway.providers.http_answer import (
    decode_answer,
    decode_refusal,
    kind_of_status,
    printable,
    refusal,
    retry_after_s,
    text_of,
)

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
AUDIENCE = "https://oauth2.googleapis.com/token"
"""Always this, wherever the request is sent ("Using OAuth 2.0 for server to server applications", Google)."""
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"

_PROVIDER = "Google's token endpoint"
_ASSERTION_LIFETIME_S = 3600
_REFRESH_AHEAD_S = 300.0
_SHORTEST_LOOK_S = 5.0
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0

_log = logging.getLogger(__name__)


class ServiceAccount(msgspec.Struct, frozen=True):
    """What is needed of a service-account key file."""

    client_email: str
    private_key: str
    token_uri: str
    private_key_id: str = ""

    def __repr__(self) -> str:
        return f"ServiceAccount({self.client_email})"


class AccessToken(msgspec.Struct, frozen=True):
    """An OAuth access token and when it stops working, in seconds since the epoch."""

    value: str
    expires_at_s: float

    def __repr__(self) -> str:
        return f"AccessToken(expires_at_s={self.expires_at_s:.0f})"


class _TokenAnswer(msgspec.Struct):
    access_token: str
    expires_in: float = 3600.0


_token_decoder = msgspec.json.Decoder(_TokenAnswer)


def service_account(document: Mapping[str, object]) -> ServiceAccount:
    """The service account a key file describes.

    Raises:
        ProviderError: `AUTHENTICATION`, naming the missing or wrong field and never its value.
    """
    try:
        account = msgspec.convert(dict(document), ServiceAccount)
    except msgspec.ValidationError as error:
        raise _unusable(printable(str(error), 120)) from None
    if urlsplit(account.token_uri).scheme not in ("https", "http"):
        raise _unusable("`token_uri` is no URL")
    return account


def token_request(account: ServiceAccount, now_s: float) -> HttpRequest:
    """The exchange of a fresh assertion for an access token.

    Raises:
        ProviderError: `AUTHENTICATION` where the private key cannot be used.
    """
    form = urlencode({"grant_type": GRANT_TYPE, "assertion": assertion(account, now_s)})
    headers = {"content-type": "application/x-www-form-urlencoded"}
    return HttpRequest("POST", account.token_uri, headers, form.encode())


def assertion(account: ServiceAccount, now_s: float) -> str:
    """The JSON Web Token in which the account asks for itself, signed with RS256.

    Raises:
        ProviderError: `AUTHENTICATION` where the private key cannot be used.
    """
    header = {"alg": "RS256", "typ": "JWT", "kid": account.private_key_id}
    claims = {
        "iss": account.client_email,
        "scope": SCOPE,
        "aud": AUDIENCE,
        "iat": int(now_s),
        "exp": int(now_s) + _ASSERTION_LIFETIME_S,
    }
    signing_input = _base64url(msgspec.json.encode(header)) + b"." + _base64url(msgspec.json.encode(claims))
    signature = _private_key(account).sign(signing_input, PKCS1v15(), SHA256())
    return (signing_input + b"." + _base64url(signature)).decode()


def parse_token(response: HttpResponse, now_s: float) -> AccessToken:
    """The token of a successful exchange.

    Raises:
        ProviderError: `AUTHENTICATION` where the account is refused, otherwise what the status says.
    """
    if response.status != 200:
        raise _refusal(response, now_s)
    answer = decode_answer(response, _token_decoder, _PROVIDER)
    if not answer.access_token.isascii() or not answer.access_token.isprintable() or not answer.access_token:
        raise ProviderError(FailureKind.PROTOCOL, f"{_PROVIDER} sent a token that fits no header")
    return AccessToken(answer.access_token, now_s + min(max(answer.expires_in, 0.0), _ASSERTION_LIFETIME_S))


class GoogleTokens:
    """Keeps an access token at hand, refreshed in the background ahead of its end.

    `source` gives the service-account key as it stands now, `{}` while the operator has set none.
    `send` carries one HTTP exchange and raises `ProviderError` or `OSError`. `pause` waits for so many
    seconds, or less where `source` has another key: so that it is exchanged at once.
    """

    def __init__(
        self,
        source: Callable[[], Mapping[str, object]],
        send: Callable[[HttpRequest], Awaitable[HttpResponse]],
        *,
        now_s: Callable[[], float] = time.time,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._source = source
        self._send = send
        self._now_s = now_s
        self._pause = pause
        self._token: AccessToken | None = None
        self._owner: ServiceAccount | None = None
        self._exchange = asyncio.Lock()

    def token(self) -> str | None:
        """The current access token; None where there is none or it has expired."""
        if self._token is None or self._token.expires_at_s <= self._now_s():
            return None
        return self._token.value

    async def refresh(self, *, refused: object = None) -> None:
        """Exchange the key for a token if one is due, or the token at hand is `refused` by who it is for.

        Concurrent callers share one exchange.

        Raises:
            ProviderError: where the key is unusable or the exchange fails. The old token stays, unless it
                and the key are both refused.
        """
        async with self._exchange:
            document = self._source()
            if not document:
                self._token = self._owner = None
                return
            account = service_account(document)
            now_s = self._now_s()
            is_refused = self._token is not None and self._token.value == refused
            if not (is_refused or self._is_due(account, now_s)):
                return
            try:
                response = await self._answer(token_request(account, now_s))
                self._token = parse_token(response, now_s)
            except ProviderError as error:
                if is_refused and error.kind is FailureKind.AUTHENTICATION:
                    self._token = None
                raise
            self._owner = account

    async def run(self) -> None:
        """Refresh until cancelled, backing off from failures with jitter; another key is tried at once."""
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                await self.refresh()
            except ProviderError as error:
                _log.warning("no new access token for Google: %s", error.message)
                wait_s = error.retry_after_s or random.uniform(0.5, 1.0) * pause_s  # noqa: S311
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                await self._pause(min(wait_s, _LONGEST_PAUSE_S))
            else:
                pause_s = _FIRST_PAUSE_S
                await self._pause(self._until_due_s())

    async def _answer(self, request: HttpRequest) -> HttpResponse:
        try:
            return await self._send(request)
        except (OSError, TimeoutError) as error:
            reason = f"{_PROVIDER} cannot be reached: {type(error).__name__}"
            raise ProviderError(FailureKind.UNREACHABLE, reason) from None

    def _until_due_s(self) -> float:
        """When to look again; a token that lives hardly longer than that is no reason to hurry."""
        if self._token is None:
            return _LONGEST_PAUSE_S
        due_s = self._token.expires_at_s - _REFRESH_AHEAD_S - self._now_s()
        return min(max(due_s, _SHORTEST_LOOK_S), _LONGEST_PAUSE_S)

    def _is_due(self, account: ServiceAccount, now_s: float) -> bool:
        if self._token is None or account != self._owner:
            return True
        return self._token.expires_at_s - now_s <= _REFRESH_AHEAD_S


def _private_key(account: ServiceAccount) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(account.private_key.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _unusable("`private_key` is no readable PEM key") from None
    if not isinstance(key, RSAPrivateKey):
        raise _unusable("`private_key` is no RSA key")
    return key


def _unusable(why: str) -> ProviderError:
    return ProviderError(FailureKind.AUTHENTICATION, f"the Google service-account key is unusable: {why}")


def _refusal(response: HttpResponse, now_s: float) -> ProviderError:
    """OAuth's error object, RFC 6749, 5.2; its description may repeat claims and is left out."""
    code = text_of(decode_refusal(response.body).get("error"))
    kind = kind_of_status(response.status)
    if kind is FailureKind.INVALID_REQUEST:
        kind = FailureKind.AUTHENTICATION
    return refusal(_PROVIDER, kind, code, "", response, retry_after_s(response.headers, now_s))


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
