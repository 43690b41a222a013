"""What Gemini answers, whole or as an event of a stream: the shapes, reasons, usage and refusals."""

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
    seconds,
    text_of,
)

PROVIDER = "Google"

_FINISH_REASONS = {
    "STOP": FinishReason.STOP,
    "MAX_TOKENS": FinishReason.LENGTH,
    "SAFETY": FinishReason.CONTENT_FILTER,
    "RECITATION": FinishReason.CONTENT_FILTER,
    "LANGUAGE": FinishReason.CONTENT_FILTER,
    "BLOCKLIST": FinishReason.CONTENT_FILTER,
    "PROHIBITED_CONTENT": FinishReason.CONTENT_FILTER,
    "SPII": FinishReason.CONTENT_FILTER,
    "MODEL_ARMOR": FinishReason.CONTENT_FILTER,
    "IMAGE_SAFETY": FinishReason.CONTENT_FILTER,
    "IMAGE_PROHIBITED_CONTENT": FinishReason.CONTENT_FILTER,
    "IMAGE_RECITATION": FinishReason.CONTENT_FILTER,
}
_MALFORMED = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "MALFORMED_RESPONSE",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
    }
)
_KINDS_OF_STATUS = {
    "INVALID_ARGUMENT": FailureKind.INVALID_REQUEST,
    "OUT_OF_RANGE": FailureKind.INVALID_REQUEST,
    "FAILED_PRECONDITION": FailureKind.UNSUPPORTED,
    "UNIMPLEMENTED": FailureKind.UNSUPPORTED,
    "NOT_FOUND": FailureKind.UNSUPPORTED,
    "UNAUTHENTICATED": FailureKind.AUTHENTICATION,
    "PERMISSION_DENIED": FailureKind.AUTHENTICATION,
    "RESOURCE_EXHAUSTED": FailureKind.RATE_LIMITED,
    "UNAVAILABLE": FailureKind.OVERLOADED,
    "INTERNAL": FailureKind.OVERLOADED,
    "UNKNOWN": FailureKind.OVERLOADED,
    "ABORTED": FailureKind.OVERLOADED,
    "DEADLINE_EXCEEDED": FailureKind.TIMEOUT,
    "CANCELLED": FailureKind.TIMEOUT,
}


class FunctionCall(msgspec.Struct):
    """A tool call."""

    name: str
    id: str | None = None
    args: msgspec.Raw = msgspec.Raw(b"{}")


class Part(msgspec.Struct, rename="camel"):
    """Text, a thought or a tool call."""

    text: str | None = None
    thought: bool | None = None
    function_call: FunctionCall | None = None


class _Content(msgspec.Struct):
    parts: list[Part] | None = None


class Candidate(msgspec.Struct, rename="camel"):
    """What the model made, or more of it."""

    content: _Content | None = None
    finish_reason: str | None = None


class _PromptFeedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None
    block_reason_message: str | None = None


class Answer(msgspec.Struct, rename="camel"):
    """A whole answer, or the next event of a streamed one."""

    candidates: list[Candidate] | None = None
    prompt_feedback: _PromptFeedback | None = None
    usage_metadata: msgspec.Raw = msgspec.Raw(b"null")
    error: msgspec.Raw = msgspec.Raw(b"null")


class _Usage(msgspec.Struct, rename="camel"):
    prompt_token_count: int
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    cached_content_token_count: int | None = None


answer_decoder = msgspec.json.Decoder(Answer)
_usage_decoder = msgspec.json.Decoder(_Usage)


def arguments_of(call: FunctionCall) -> str:
    """The arguments as the model made them: JSON text.

    Raises:
        ProviderError: `PROTOCOL` where they are not UTF-8.
    """
    try:
        encoded = bytes(call.args).decode()
    except UnicodeDecodeError:
        raise broken_answer(PROVIDER, "the arguments of a tool call are not UTF-8", 200) from None
    return "{}" if encoded == "null" else encoded


def candidate_of(answer: Answer, response: HttpResponse) -> Candidate:
    """The first candidate.

    Raises:
        ProviderError: `CONTENT_FILTER` where Google blocked the prompt, `PROTOCOL` where the model's
            output was malformed or there is no candidate without a reason given.
    """
    if answer.candidates:
        candidate = answer.candidates[0]
        if candidate.finish_reason in _MALFORMED:
            raise broken_answer(
                PROVIDER, f"the model stopped with {candidate.finish_reason}", response.status
            )
        return candidate
    feedback = answer.prompt_feedback
    if feedback is not None and feedback.block_reason:
        message = feedback.block_reason_message or "the prompt was blocked"
        raise refusal(PROVIDER, FailureKind.CONTENT_FILTER, feedback.block_reason, message, response, None)
    raise broken_answer(PROVIDER, "it holds no candidate", response.status)


def finish_reason(named: str | None, has_tool_calls: bool) -> FinishReason:
    """Gemini says STOP for tool calls as well."""
    reason = _FINISH_REASONS.get(named or "STOP", FinishReason.STOP)
    return FinishReason.TOOL_CALLS if reason is FinishReason.STOP and has_tool_calls else reason


def usage_of(encoded: msgspec.Raw) -> Usage | None:
    """Gemini counts thoughts apart from the answer, and tool-use prompts apart from the prompt."""
    try:
        usage = _usage_decoder.decode(encoded)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    answer, thoughts = usage.candidates_token_count or 0, usage.thoughts_token_count or 0
    tool_use, cached = usage.tool_use_prompt_token_count or 0, usage.cached_content_token_count or 0
    if min(usage.prompt_token_count, answer, thoughts, tool_use, cached) < 0:
        return None
    prompt = usage.prompt_token_count + tool_use
    return Usage(
        input_tokens=prompt,
        output_tokens=answer + thoughts,
        cached_input_tokens=min(cached, prompt),
        reasoning_tokens=thoughts,
    )


def refusal_of(response: HttpResponse, now_s: float) -> ProviderError:
    """Google's error model, https://cloud.google.com/apis/design/errors."""
    detail = decode_refusal(response.body).get("error")
    error: dict[str, object] = detail if isinstance(detail, dict) else {}
    status, message = text_of(error.get("status")), text_of(error.get("message"))
    kind = _KINDS_OF_STATUS.get(status) or kind_of_status(response.status)
    if kind is FailureKind.INVALID_REQUEST:
        kind = FailureKind.AUTHENTICATION if "API key" in message else kind_of_complaint(message)
    wait = retry_after_s(response.headers, now_s)
    if wait is None:
        wait = _retry_delay_s(error.get("details"))
    return refusal(PROVIDER, kind, status, message, response, wait)


def _retry_delay_s(details: object) -> float | None:
    """`retryDelay` of google.rpc.RetryInfo, such as `34.07s`."""
    for entry in details if isinstance(details, list) else []:
        delay = entry.get("retryDelay") if isinstance(entry, dict) else None
        if isinstance(delay, str):
            return seconds(delay)
    return None
