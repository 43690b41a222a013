"""Why a request is not answered, in words no protocol owns. Each surface maps them to its own statuses."""

from __future__ import annotations

import enum


class Reason(enum.StrEnum):
    """The closed set of reasons; a surface that lacks one does not type-check."""

    INVALID_REQUEST = "invalid_request"
    INVALID_API_KEY = "invalid_api_key"
    PERMISSION_DENIED = "permission_denied"
    MODEL_NOT_FOUND = "model_not_found"
    CONTEXT_LENGTH_EXCEEDED = "context_length_exceeded"
    CONTENT_FILTER = "content_filter"
    NO_ELIGIBLE_MODEL = "no_eligible_model"
    NO_AVAILABLE_MODEL = "no_available_model"
    ROUTE_SET_NOT_FOUND = "route_set_not_found"
    VERSION_CONFLICT = "version_conflict"
    TRANSITION_REFUSED = "transition_refused"
    CONFLICT = "conflict"
    RATE_LIMITED = "rate_limited"
    PROVIDER_UNAVAILABLE = "provider_unavailable"
    PROVIDER_TIMEOUT = "provider_timeout"
    PROVIDER_FAILURE = "provider_failure"
    STORE_UNAVAILABLE = "store_unavailable"
    NOT_READY = "not_ready"


class RefusalError(Exception):
    """A request that ends without an answer, for a reason its caller may be told.

    `message` is written for the caller. `parameter` names the part of the request that is at fault.
    `retry_after_s` says when trying again makes sense, in seconds.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        parameter: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.parameter = parameter
        self.retry_after_s = retry_after_s
