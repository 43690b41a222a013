"""What whole and streamed answers of an OpenAI-compatible server have in common: reasons, usage, refusals."""

from __future__ import annotations

import msgspec

from gateway.model import FinishReason, Usage
from gateway.providers.adapter import FailureKind, HttpResponse, ProviderError
from gateway.providers.http_answer import (
    decode_refusal,
    kind_of_complaint,
    kind_of_status,
    refusal,
    retry_after_s,
    text_of,
)

PROVIDER = "Llama"

_FINISH_REASONS = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
}
_KINDS_OF_CODE = {
    "context_length_exceeded": FailureKind.CONTEXT_LENGTH,
    "content_filter": FailureKind.CONTENT_FILTER,
    "content_policy_violation": FailureKind.CONTENT_FILTER,
    "rate_limit_exceeded": FailureKind.RATE_LIMITED,
    "rate_limit_error": FailureKind.RATE_LIMITED,
    "insufficient_quota": FailureKind.RATE_LIMITED,
    "invalid_api_key": FailureKind.AUTHENTICATION,
    "authentication_error": FailureKind.AUTHENTICATION,
    "permission_error": FailureKind.AUTHENTICATION,
    "model_not_found": FailureKind.UNSUPPORTED,
    "server_error": FailureKind.OVERLOADED,
    "overloaded_error": FailureKind.OVERLOADED,
    "timeout": FailureKind.TIMEOUT,
}


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None


_usage_decoder = msgspec.json.Decoder(_Usage)


def finish_reason(named: str | None, has_tool_calls: bool, is_refused: bool) -> FinishReason:
    """The reason named, except that calls make it `tool_calls` and their absence unmakes it."""
    reason = _FINISH_REASONS.get(named or "stop", FinishReason.STOP)
    if is_refused and reason is FinishReason.STOP:
        return FinishReason.CONTENT_FILTER
    if reason in (FinishReason.STOP, FinishReason.TOOL_CALLS):
        return FinishReason.TOOL_CALLS if has_tool_calls else FinishReason.STOP
    return reason


def usage_of(encoded: msgspec.Raw) -> Usage | None:
    """OpenAI's counts include cached and reasoning tokens already."""
    try:
        usage = _usage_decoder.decode(encoded)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
    cached = (prompt.cached_tokens if prompt is not None else None) or 0
    reasoning = (completion.reasoning_tokens if completion is not None else None) or 0
    if min(usage.prompt_tokens, usage.completion_tokens, cached, reasoning) < 0:
        return None
    return Usage(
        input_tokens=max(usage.prompt_tokens, cached),
        output_tokens=max(usage.completion_tokens, reasoning),
        cached_input_tokens=cached,
        reasoning_tokens=reasoning,
    )


def refusal_of(response: HttpResponse, now_s: float) -> ProviderError:
    """OpenAI's error object, and the looser forms compatible servers send in its place."""
    body = decode_refusal(response.body)
    detail = body.get("error")
    error: dict[str, object] = detail if isinstance(detail, dict) else body
    message = text_of(detail) or text_of(error.get("message")) or text_of(error.get("detail"))
    code, category = text_of(error.get("code")), text_of(error.get("type"))
    kind = _KINDS_OF_CODE.get(code) or _KINDS_OF_CODE.get(category) or _kind_of_status(response.status, code)
    if kind is FailureKind.INVALID_REQUEST:
        kind = kind_of_complaint(message)
    return refusal(
        PROVIDER, kind, code or category, message, response, retry_after_s(response.headers, now_s)
    )


def _kind_of_status(status: int, code: str) -> FailureKind:
    """Some servers put the status into the error's code; with status 200 it is all there is."""
    if status == 200:
        status = int(code) if code.isdecimal() and len(code) == 3 else 500
    return kind_of_status(status)
