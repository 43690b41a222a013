"""What whole and streamed Converse answers have in common: reasons, usage, refusals."""

from __future__ import annotations

import msgspec

from gateway.model import FinishReason, Usage
from gateway.providers.adapter import FailureKind, HttpResponse, ProviderError
from gateway.providers.http_answer import (
    broken_answer,
    decode_refusal,
    kind_of_complaint,
    kind_of_status,
    refusal,
    retry_after_s,
    text_of,
)

PROVIDER = "Bedrock"

_FINISH_REASONS = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "tool_use": FinishReason.TOOL_CALLS,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "guardrail_intervened": FinishReason.CONTENT_FILTER,
    "content_filtered": FinishReason.CONTENT_FILTER,
}
_MALFORMED = frozenset({"malformed_model_output", "malformed_tool_use"})
_KINDS_OF_ERROR = {
    "AccessDeniedException": FailureKind.AUTHENTICATION,
    "UnrecognizedClientException": FailureKind.AUTHENTICATION,
    "InvalidSignatureException": FailureKind.AUTHENTICATION,
    "SignatureDoesNotMatch": FailureKind.AUTHENTICATION,
    "IncompleteSignatureException": FailureKind.AUTHENTICATION,
    "MissingAuthenticationTokenException": FailureKind.AUTHENTICATION,
    "ExpiredTokenException": FailureKind.AUTHENTICATION,
    "InvalidClientTokenId": FailureKind.AUTHENTICATION,
    "ThrottlingException": FailureKind.RATE_LIMITED,
    "TooManyRequestsException": FailureKind.RATE_LIMITED,
    "ServiceQuotaExceededException": FailureKind.RATE_LIMITED,
    "ModelNotReadyException": FailureKind.OVERLOADED,
    "ModelErrorException": FailureKind.OVERLOADED,
    "InternalServerException": FailureKind.OVERLOADED,
    "ServiceUnavailableException": FailureKind.OVERLOADED,
    "ModelTimeoutException": FailureKind.TIMEOUT,
    "ResourceNotFoundException": FailureKind.UNSUPPORTED,
}


class _Usage(msgspec.Struct, rename="camel"):
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int = 0
    cache_write_input_tokens: int = 0


_usage_decoder = msgspec.json.Decoder(_Usage)


def finish_reason(stop_reason: str, has_tool_calls: bool) -> FinishReason:
    """The reason named, except that calls make it `tool_calls` and their absence unmakes it.

    Raises:
        ProviderError: `PROTOCOL` where the model's output was malformed.
    """
    if stop_reason in _MALFORMED:
        raise broken_answer(PROVIDER, f"the model stopped with {stop_reason}", 200)
    reason = _FINISH_REASONS.get(stop_reason, FinishReason.STOP)
    if reason in (FinishReason.STOP, FinishReason.TOOL_CALLS):
        return FinishReason.TOOL_CALLS if has_tool_calls else FinishReason.STOP
    return reason


def usage_of(encoded: msgspec.Raw) -> Usage | None:
    """Converse counts tokens read from and written to the cache apart from `inputTokens`."""
    try:
        usage = _usage_decoder.decode(encoded)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    counts = (
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_input_tokens,
        usage.cache_write_input_tokens,
    )
    if min(counts) < 0:
        return None
    return Usage(
        input_tokens=usage.input_tokens + usage.cache_read_input_tokens + usage.cache_write_input_tokens,
        output_tokens=usage.output_tokens,
        cached_input_tokens=usage.cache_read_input_tokens,
    )


def refusal_of(response: HttpResponse, now_s: float) -> ProviderError:
    """AWS names the error in the header `x-amzn-errortype` or in `__type`, with decorations around it."""
    detail = decode_refusal(response.body)
    named = (
        response.headers.get("x-amzn-errortype")
        or text_of(detail.get("__type"))
        or text_of(detail.get("code"))
    )
    code = named.split(":", 1)[0].rsplit("#", 1)[-1].strip()
    message = text_of(detail.get("message")) or text_of(detail.get("Message"))
    kind = _KINDS_OF_ERROR.get(code) or kind_of_status(response.status)
    if kind is FailureKind.INVALID_REQUEST:
        kind = kind_of_complaint(message)
    return refusal(PROVIDER, kind, code, message, response, retry_after_s(response.headers, now_s))
