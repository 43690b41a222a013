"""When the next candidate is asked, and what a caller is told when none answered."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from gateway.control.registry import Provider
from gateway.failures import Reason, RefusalError
from gateway.providers.adapter import FailureKind, ProviderError
from gateway.routing.decision import Candidate

MAXIMUM_ATTEMPTS = len(Provider)
"""Each provider once: one healthy one is enough, and an outage of all costs no more calls than that."""

DEFAULT_RETRY_AFTER_S = 5.0
"""Told to callers where a provider limits its rate without saying for how long."""

_WHOLE_PROVIDER = {
    FailureKind.AUTHENTICATION,
    FailureKind.RATE_LIMITED,
    FailureKind.OVERLOADED,
    FailureKind.TIMEOUT,
    FailureKind.UNREACHABLE,
}
"""What its other models most likely share."""

_CALLERS_FAULT = {
    FailureKind.INVALID_REQUEST: Reason.INVALID_REQUEST,
    FailureKind.CONTEXT_LENGTH: Reason.CONTEXT_LENGTH_EXCEEDED,
    FailureKind.CONTENT_FILTER: Reason.CONTENT_FILTER,
}
_PROVIDERS_FAULT = {
    FailureKind.TIMEOUT: (Reason.PROVIDER_TIMEOUT, "The provider did not answer in time."),
    FailureKind.PROTOCOL: (Reason.PROVIDER_FAILURE, "The provider's answer was unreadable."),
}


class Failure(msgspec.Struct, frozen=True):
    """A candidate that was asked, and how that failed."""

    candidate: Candidate
    kind: FailureKind


def next_candidate(candidates: Sequence[Candidate], failures: Sequence[Failure]) -> Candidate | None:
    """Who is asked after `failures` (at least one), the best of `candidates` (ranked) first; None to give up.

    A fallback goes to another provider, where the failure is the provider's; to the same provider only as the
    first fallback, and where there is no other. Each further fallback goes to a provider not asked before.
    """
    if len(failures) >= MAXIMUM_ATTEMPTS or failures[-1].kind.callers_fault:
        return None
    asked_keys = {failure.candidate.key for failure in failures}
    asked_providers = {failure.candidate.provider for failure in failures}
    left = [each for each in candidates if each.key not in asked_keys]
    elsewhere = [each for each in left if each.provider not in asked_providers]
    if len(failures) > 1:
        ranked = elsewhere
    elif failures[0].kind in _WHOLE_PROVIDER:
        ranked = elsewhere or left
    else:
        ranked = left
    return ranked[0] if ranked else None


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
