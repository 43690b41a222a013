"""One HTTP exchange with a provider: encrypted, bounded, never redirected, never logged."""

from __future__ import annotations

import http.client
import json
import os
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import SplitResult, urlsplit

from lambdas.secret_rotation.refusal import RotationError

TIMEOUT_S = 10.0
LARGEST_ANSWER_BYTES = 1_000_000
SIMULATED_PROVIDERS = "SIMULATED_PROVIDERS"
"""The variable that says, where it is `true`, that providers are simulated on this machine, in the clear.

Only the embedded cloud sets it: in AWS a function's own runtime API listens on this machine.
"""

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_HOST_NAME = re.compile(r"([a-z0-9_-]+\.)+(?!localhost)[a-z][a-z0-9-]*")
"""A name that is looked up. What ends in a number is an address, in one notation or another."""
_CODE = re.compile(r"[a-z_]{1,60}|[A-Z_]{1,60}")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked. Headers and body hold keys, so neither is ever shown."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What was answered. The body may hold a key, so it is never shown."""

    status: int
    body: bytes = field(repr=False)

    def document(self, what: str) -> Mapping[str, object]:
        """The body, a JSON object.

        Raises:
            RotationError: it is none.
        """
        try:
            document = json.loads(self.body)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise RotationError(f"{what} answered {self.status} with a body that is no JSON object")
        return document


Send: TypeAlias = Callable[[Request], Reply]


def providers_are_simulated() -> bool:
    """Whether this runs in the embedded cloud."""
    return os.environ.get(SIMULATED_PROVIDERS) == "true"


def refuse_insecure(url: str, what: str) -> SplitResult:
    """The parts of an address that keys may be sent to: https to a host by its name.

    Raises:
        RotationError: it is another one. The address is not repeated: it may come from a secret.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port_is_usable = parts.port is None or parts.port > 0
    except ValueError:
        host, port_is_usable, parts = "", False, SplitResult("", "", "", "", "")
    secure = parts.scheme == "https" and _HOST_NAME.fullmatch(host) is not None
    simulated = providers_are_simulated() and parts.scheme == "http" and host in _LOOPBACK
    if not (secure or simulated) or not port_is_usable or parts.username or parts.password or parts.fragment:
        raise RotationError(
            f"{what} is no https address of a host by its name, without credentials; keys are sent there "
            "encrypted only"
        )
    return parts


def send(request: Request, *, timeout_s: float = TIMEOUT_S) -> Reply:
    """Send one request over a connection of its own. `http.client` follows no redirect and knows no proxy.

    Raises:
        RotationError: there was no answer, or one that is too large.
    """
    parts = refuse_insecure(request.url, "the address of a call")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = _connection(parts, timeout_s)
    try:
        connection.request(request.method, path, body=request.body, headers=dict(request.headers))
        response = connection.getresponse()
        body = response.read(LARGEST_ANSWER_BYTES + 1)
    except (OSError, http.client.HTTPException, ValueError) as error:
        # The error's text may repeat a header.
        raise RotationError(f"{parts.hostname} gives no answer: {type(error).__name__}") from None
    finally:
        connection.close()
    if len(body) > LARGEST_ANSWER_BYTES:
        raise RotationError(f"{parts.hostname} answered with more than {LARGEST_ANSWER_BYTES} bytes")
    return Reply(status=response.status, body=body)


def _connection(parts: SplitResult, timeout_s: float) -> http.client.HTTPConnection:
    host = parts.hostname or ""
    if parts.scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, parts.port, timeout=timeout_s, context=context)
    return http.client.HTTPConnection(host, parts.port, timeout=timeout_s)


def bearer(key: str) -> Mapping[str, str]:
    """The header that carries a key.

    Raises:
        RotationError: no header can carry it.
    """
    if not re.fullmatch(r"[!-~]+", key):
        raise RotationError(
            "a key is no text of visible ASCII characters; put it without blanks and line breaks"
        )
    return {"authorization": f"Bearer {key}"}


def refusal(what: str, reply: Reply) -> RotationError:
    """An answer that is a no: its status, and the code it gives where that is a plain word."""
    return RotationError(f"{what} answered {reply.status}{_code(reply)}")


def _code(reply: Reply) -> str:
    """OAuth names it in `error`, Google in `error.status`, OpenAI in `error.code`. Texts may repeat a key."""
    try:
        error = json.loads(reply.body).get("error")
    except (ValueError, AttributeError, RecursionError):
        return ""
    code = (error.get("status") or error.get("code")) if isinstance(error, dict) else error
    return f" {code}" if isinstance(code, str) and _CODE.fullmatch(code) else ""
