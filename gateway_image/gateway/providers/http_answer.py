"""What the answers of all providers have in common: JSON bodies, statuses, waiting times.

Every function takes what a peer on the network sent and raises nothing but `ProviderError`.
"""

from __future__ import annotations

import math
import re
from email.utils import parsedate_to_datetime
from typing import TypeVar

import msgspec

from gateway.providers.adapter import FailureKind, HttpResponse, ProviderError
from gateway.providers.redaction import redacted

MAXIMUM_ANSWER_BYTES = 32 * 1024 * 1024
"""No completion is this large; reading on would only spend memory."""

_LONGEST_MESSAGE = 500
_LONGEST_READ = 4000
_LONGEST_WAIT_S = 86_400.0

_KINDS: dict[int, FailureKind] = {
    400: FailureKind.INVALID_REQUEST,
    401: FailureKind.AUTHENTICATION,
    402: FailureKind.AUTHENTICATION,
    403: FailureKind.AUTHENTICATION,
    404: FailureKind.UNSUPPORTED,
    408: FailureKind.TIMEOUT,
    413: FailureKind.CONTEXT_LENGTH,
    422: FailureKind.INVALID_REQUEST,
    424: FailureKind.OVERLOADED,
    429: FailureKind.RATE_LIMITED,
    499: FailureKind.TIMEOUT,
    504: FailureKind.TIMEOUT,
}

_KEY = r"(api[ _-]?key|access[ _-]?key|secret[ _-]?key|(security|access|auth|bearer) token|credentials?)"
_WRONG = (
    r"(incorrect|invalid|not valid|expired|missing|revoked|wrong|unknown|required|not found|"
    r"did(n[o']t| not) provide|provide (a|an|your|the)|unauthori[sz]ed|malformed)"
)
_ABOUT_KEYS = re.compile(rf"\b{_KEY}\b.{{0,60}}\b{_WRONG}\b|\b{_WRONG}\b.{{0,40}}\b{_KEY}\b", re.IGNORECASE)
_TOO_LONG = re.compile(
    r"(input|prompt|messages?|request|conversation)\b.{0,60}\btoo long"
    r"|context[ _-]?(length|window|limit|size)"
    r"|token count.{0,60}exceeds"
    r"|maximum number of (input )?tokens",
    re.IGNORECASE | re.DOTALL,
)
_NOT_SERVED = re.compile(
    r"(does ?n[o']t|do(es)? not|is not|isn't|not currently) support"
    r"|(is not|isn't|not yet) (available|enabled)"
    r"|model identifier is invalid|on-demand throughput",
    re.IGNORECASE,
)

T = TypeVar("T")


def decode_answer(response: HttpResponse, decoder: msgspec.json.Decoder[T], provider: str) -> T:
    """The JSON body of a successful answer.

    Raises:
        ProviderError: `PROTOCOL` where the body is too large, no JSON, or of another shape.
    """
    body = response.body
    if len(body) > MAXIMUM_ANSWER_BYTES:
        raise broken_answer(
            provider, f"{len(body)} bytes exceed the limit of {MAXIMUM_ANSWER_BYTES}", response.status
        )
    content_type = response.headers.get("content-type")
    if content_type is not None and "json" not in content_type.lower():
        raise broken_answer(
            provider, f"content type {printable(content_type, 80)!r} is not JSON", response.status
        )
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise broken_answer(provider, printable(str(error), 200), response.status) from None


def broken_answer(provider: str, why: str, status: int | None = None) -> ProviderError:
    """The error for an answer that is not what the provider's interface promises."""
    told = f"{provider} sent an unreadable answer: {printable(why, 300)}"
    return ProviderError(FailureKind.PROTOCOL, told, status=status)


def decode_refusal(body: bytes) -> dict[str, object]:
    """The JSON object of an error answer; empty where there is none, as proxies send HTML or nothing."""
    try:
        value = msgspec.json.decode(body[:MAXIMUM_ANSWER_BYTES])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return {}
    if isinstance(value, list) and value:
        value = value[0]
    return value if isinstance(value, dict) else {}


def kind_of_status(status: int) -> FailureKind:
    """What an HTTP status alone says; statuses that no completion interface sends are `PROTOCOL`."""
    kind = _KINDS.get(status)
    if kind is not None:
        return kind
    return FailureKind.OVERLOADED if 500 <= status <= 599 else FailureKind.PROTOCOL


def kind_of_complaint(message: str) -> FailureKind:
    """Which of the kinds that share status 400 a provider's wording means."""
    message = message[:_LONGEST_READ]
    if _ABOUT_KEYS.search(message):
        return FailureKind.AUTHENTICATION
    if _TOO_LONG.search(message):
        return FailureKind.CONTEXT_LENGTH
    if _NOT_SERVED.search(message):
        return FailureKind.UNSUPPORTED
    return FailureKind.INVALID_REQUEST


def refusal(
    provider: str,
    kind: FailureKind,
    code: str,
    message: str,
    response: HttpResponse,
    retry_after: float | None,
) -> ProviderError:
    """The error for an answer in which the provider declined.

    The wording of an authentication failure is left out: providers repeat parts of the key in it.
    """
    label = printable(code, 80) or f"status {response.status}"
    detail = "" if kind is FailureKind.AUTHENTICATION else printable(message, _LONGEST_MESSAGE)
    return ProviderError(
        kind,
        f"{provider} refused ({label}){': ' + detail if detail else ''}",
        status=response.status,
        retry_after_s=retry_after,
    )


def retry_after_s(headers: dict[str, str], now_s: float) -> float | None:
    """How long the provider asks to wait, in seconds; None where it does not say so intelligibly.

    Reads `retry-after-ms` (milliseconds) and `retry-after` (seconds or a date, RFC 9110, 10.2.3).
    A date is taken relative to the answer's own `date`, so that clocks need not agree.
    """
    milliseconds = headers.get("retry-after-ms")
    if milliseconds is not None and (wait := seconds(milliseconds)) is not None:
        return wait / 1000.0
    value = headers.get("retry-after")
    if value is None:
        return None
    wait = seconds(value)
    if wait is not None:
        return wait
    then = _timestamp(value)
    if then is None:
        return None
    reference = _timestamp(headers.get("date", ""))
    return min(max(0.0, then - (now_s if reference is None else reference)), _LONGEST_WAIT_S)


def seconds(text: str) -> float | None:
    """A non-negative, finite decimal number with an optional trailing `s`, at most a day."""
    if len(text) > 32:
        return None
    try:
        value = float(text.strip().removesuffix("s"))
    except ValueError:
        return None
    if not math.isfinite(value) or value < 0:
        return None
    return min(value, _LONGEST_WAIT_S)


def text_of(value: object) -> str:
    """`value` where it is text or a number, else nothing."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def printable(text: str, limit: int) -> str:
    """At most `limit` characters on one line, fit for a caller or a log: without keys and addresses."""
    if len(text) > _LONGEST_READ:  # what is cut in two is no longer known for what it is
        text = text[:_LONGEST_READ].rsplit(None, 1)[0]
    on_one_line = "".join(character if character.isprintable() else " " for character in redacted(text))
    return on_one_line[:limit].strip()


def _timestamp(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
