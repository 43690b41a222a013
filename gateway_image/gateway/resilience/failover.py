"""When the next candidate is asked, and what a caller is told when none answered."""

from __future__ import annotations

import math

from gateway.failures import Reason, RefusalError
from gateway.providers.adapter import FailureKind, ProviderError

MAXIMUM_ATTEMPTS = 2
"""The first choice and one fallback."""

DEFAULT_RETRY_AFTER_S = 5.0
"""Told to callers where a provider limits its rate without saying for how long."""

_CALLERS_FAULT = {
    FailureKind.INVALID_REQUEST: Reason.INVALID_REQUEST,
    FailureKind.CONTEXT_LENGTH: Reason.CONTEXT_LENGTH_EXCEEDED,
    FailureKind.CONTENT_FILTER: Reason.CONTENT_FILTER,
}
_PROVIDERS_FAULT = {
    FailureKind.TIMEOUT: (Reason.PROVIDER_TIMEOUT, "The provider did not answer in time."),
    FailureKind.PROTOCOL: (Reason.PROVIDER_FAILURE, "The provider's answer was unreadable."),
}


def refusal_of(errors: list[ProviderError]) -> RefusalError:
    """What to tell the caller after `errors`, in the order in which they happened; at least one.

    The caller's own mistake goes before everything, then a rate limit, because it says when to come back.
    """
    last = errors[-1]
    if last.kind.callers_fault:
        return RefusalError(_CALLERS_FAULT[last.kind], last.message)
    limits = [error for error in errors if error.kind is FailureKind.RATE_LIMITED]
    if limits:
        waits = [
            DEFAULT_RETRY_AFTER_S if each.retry_after_s is None else each.retry_after_s for each in limits
        ]
        wait_s = max(1.0, math.ceil(min(waits)))
        return RefusalError(
            Reason.RATE_LIMITED, "The providers limit the rate at present.", retry_after_s=wait_s
        )
    if last.kind is FailureKind.UNSUPPORTED:
        return RefusalError(
            Reason.NO_ELIGIBLE_MODEL, "The models that may answer do not support this request."
        )
    reason, message = _PROVIDERS_FAULT.get(
        last.kind, (Reason.PROVIDER_UNAVAILABLE, "No provider could answer the request at present.")
    )
    return RefusalError(reason, message)
