"""Errors as OpenAI's clients expect them: `{"error": {"message", "type", "param", "code"}}`, with a status.

https://platform.openai.com/docs/guides/error-codes; the official clients retry 408, 409, 429 and 5xx unless
`x-should-retry: false` forbids it.
"""

from __future__ import annotations

import msgspec

from gateway.failures import Reason, RefusalError
from gateway.surfaces.messages import Outgoing, json_answer


class ErrorForm(msgspec.Struct, frozen=True):
    """The status, type and code of one kind of error. `retry` None leaves the client to its own rule."""

    status: int
    type: str
    code: str | None
    retry: bool | None = None


_INVALID = "invalid_request_error"
_SERVER = "server_error"

FORMS: dict[Reason, ErrorForm] = {
    Reason.INVALID_REQUEST: ErrorForm(400, _INVALID, None),
    Reason.INVALID_API_KEY: ErrorForm(401, _INVALID, "invalid_api_key"),
    Reason.PERMISSION_DENIED: ErrorForm(403, _INVALID, "insufficient_permissions"),
    Reason.MODEL_NOT_FOUND: ErrorForm(404, _INVALID, "model_not_found"),
    Reason.CONTEXT_LENGTH_EXCEEDED: ErrorForm(400, _INVALID, "context_length_exceeded"),
    Reason.CONTENT_FILTER: ErrorForm(400, _INVALID, "content_filter"),
    Reason.NO_ELIGIBLE_MODEL: ErrorForm(400, _INVALID, "no_eligible_model"),
    Reason.NO_AVAILABLE_MODEL: ErrorForm(503, _SERVER, "no_eligible_model", retry=False),
    Reason.ROUTE_SET_NOT_FOUND: ErrorForm(404, _INVALID, "route_set_not_found"),
    Reason.VERSION_CONFLICT: ErrorForm(409, _INVALID, "version_conflict", retry=False),
    Reason.TRANSITION_REFUSED: ErrorForm(409, _INVALID, "transition_refused", retry=False),
    Reason.CONFLICT: ErrorForm(409, _INVALID, "conflict", retry=False),
    Reason.RATE_LIMITED: ErrorForm(429, "rate_limit_error", "rate_limit_exceeded"),
    Reason.PROVIDER_UNAVAILABLE: ErrorForm(503, _SERVER, "provider_unavailable"),
    Reason.PROVIDER_TIMEOUT: ErrorForm(504, _SERVER, "provider_timeout"),
    Reason.PROVIDER_FAILURE: ErrorForm(502, _SERVER, "provider_failure"),
    Reason.STORE_UNAVAILABLE: ErrorForm(503, _SERVER, "store_unavailable"),
    Reason.NOT_READY: ErrorForm(503, _SERVER, "not_ready"),
}

NOT_FOUND = ErrorForm(404, _INVALID, "unknown_url")
METHOD_NOT_ALLOWED = ErrorForm(405, _INVALID, "method_not_allowed")
BODY_TOO_LARGE = ErrorForm(413, _INVALID, "request_too_large")
HEAD_TOO_LARGE = ErrorForm(431, _INVALID, "request_head_too_large")
TOO_SLOW = ErrorForm(408, _INVALID, "request_timeout")
MALFORMED = ErrorForm(400, _INVALID, None)
INTERNAL = ErrorForm(500, _SERVER, "internal_error")


class HttpError(Exception):
    """An error of HTTP itself, which no other surface knows."""

    def __init__(self, form: ErrorForm, message: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.form = form
        self.message = message
        self.headers = headers


class _Error(msgspec.Struct, frozen=True):
    message: str
    type: str
    param: str | None
    code: str | None


class _ErrorBody(msgspec.Struct, frozen=True):
    error: _Error


def error_answer(
    form: ErrorForm, message: str, *, parameter: str | None = None, headers: tuple[tuple[str, str], ...] = ()
) -> Outgoing:
    """The answer for an error of `form`."""
    if form.retry is not None:
        headers = (*headers, ("x-should-retry", "true" if form.retry else "false"))
    return json_answer(_ErrorBody(_Error(message, form.type, parameter, form.code)), form.status, headers)


def refusal_answer(refusal: RefusalError) -> Outgoing:
    """The answer for a request the gateway refuses, with `retry-after` where there is a time to name."""
    wait_s = refusal.retry_after_s
    headers = (
        () if wait_s is None else (("retry-after", f"{wait_s:g}"), ("retry-after-ms", f"{wait_s * 1000:.0f}"))
    )
    return error_answer(FORMS[refusal.reason], refusal.message, parameter=refusal.parameter, headers=headers)
