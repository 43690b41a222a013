"""Gemini's generateContent on Vertex AI.

https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference; the shapes are those
of `google.genai.types`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import quote

import msgspec

from gateway.model import Completion, FinishReason, Request, ToolCall, Usage
from gateway.providers.adapter import FailureKind, HttpRequest, HttpResponse, ProviderError
from gateway.providers.conversation import unencodable
from gateway.providers.google_request import generate_content_input
from gateway.providers.http_answer import (
    broken_answer,
    decode_answer,
    decode_refusal,
    kind_of_complaint,
    kind_of_status,
    refusal,
    retry_after_s,
    seconds,
    text_of,
)
from gateway.providers.token_estimate import estimated_usage

_PROVIDER = "Google"

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


class _FunctionCall(msgspec.Struct):
    name: str
    id: str | None = None
    args: msgspec.Raw = msgspec.Raw(b"{}")


class _Part(msgspec.Struct, rename="camel"):
    text: str | None = None
    thought: bool | None = None
    function_call: _FunctionCall | None = None


class _Content(msgspec.Struct):
    parts: list[_Part] | None = None


class _Candidate(msgspec.Struct, rename="camel"):
    content: _Content | None = None
    finish_reason: str | None = None


class _PromptFeedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None
    block_reason_message: str | None = None


class _Answer(msgspec.Struct, rename="camel"):
    candidates: list[_Candidate] | None = None
    prompt_feedback: _PromptFeedback | None = None
    usage_metadata: msgspec.Raw = msgspec.Raw(b"null")


class _Usage(msgspec.Struct, rename="camel"):
    prompt_token_count: int
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    cached_content_token_count: int | None = None


_encoder = msgspec.json.Encoder()
_answer_decoder = msgspec.json.Decoder(_Answer)
_usage_decoder = msgspec.json.Decoder(_Usage)


class GoogleAdapter:
    """generateContent on Vertex AI.

    `base_url` is the regional or multi-regional host without a path, `token` gives the current OAuth
    access token, or None where there is none.
    """

    def __init__(
        self,
        base_url: str,
        project: str,
        location: str,
        token: Callable[[], str | None],
        *,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        project, location = quote(project, safe=""), quote(location, safe="")
        self._models_url = (
            f"{base_url.rstrip('/')}/v1/projects/{project}/locations/{location}/publishers/google/models"
        )
        self._token = token
        self._now_s = now_s

    def prepare(self, request: Request, invocation_id: str) -> HttpRequest:
        """See `Adapter.prepare`."""
        try:
            body = _encoder.encode(generate_content_input(request, invocation_id))
        except (UnicodeEncodeError, RecursionError) as error:
            raise unencodable(error) from None
        token = self._token()
        if not token:
            raise ProviderError(FailureKind.AUTHENTICATION, "no access token is at hand for Google")
        return HttpRequest(
            "POST",
            f"{self._models_url}/{quote(invocation_id, safe='')}:generateContent",
            {"content-type": "application/json", "authorization": f"Bearer {token}"},
            body,
        )

    def parse(self, response: HttpResponse, request: Request) -> Completion:
        """See `Adapter.parse`."""
        if response.status != 200:
            raise _refusal(response, self._now_s())
        answer = decode_answer(response, _answer_decoder, _PROVIDER)
        candidate = _candidate(answer, response)
        parts = (candidate.content.parts if candidate.content is not None else None) or []
        text = "".join([part.text for part in parts if part.text is not None and not part.thought])
        tool_calls = _tool_calls(parts, request)
        return Completion(
            text=text,
            finish_reason=_finish_reason(candidate.finish_reason, bool(tool_calls)),
            usage=_usage(answer.usage_metadata) or estimated_usage(request, text, tool_calls),
            tool_calls=tool_calls,
        )


def _candidate(answer: _Answer, response: HttpResponse) -> _Candidate:
    """The first candidate.

    Raises:
        ProviderError: `CONTENT_FILTER` where Google blocked the prompt, `PROTOCOL` where the model's
            output was malformed or there is no candidate without a reason given.
    """
    if answer.candidates:
        candidate = answer.candidates[0]
        if candidate.finish_reason in _MALFORMED:
            raise broken_answer(
                _PROVIDER, f"the model stopped with {candidate.finish_reason}", response.status
            )
        return candidate
    feedback = answer.prompt_feedback
    if feedback is not None and feedback.block_reason:
        message = feedback.block_reason_message or "the prompt was blocked"
        raise refusal(_PROVIDER, FailureKind.CONTENT_FILTER, feedback.block_reason, message, response, None)
    raise broken_answer(_PROVIDER, "it holds no candidate", response.status)


def _tool_calls(parts: list[_Part], request: Request) -> tuple[ToolCall, ...]:
    calls = [part.function_call for part in parts if part.function_call is not None]
    if not calls:
        return ()
    try:
        return tuple(
            ToolCall(
                id=call.id or f"call_{request.id}_{index}",
                name=call.name,
                arguments_json=_arguments(bytes(call.args).decode()),
            )
            for index, call in enumerate(calls)
        )
    except UnicodeDecodeError:
        raise broken_answer(_PROVIDER, "the arguments of a tool call are not UTF-8", 200) from None


def _arguments(encoded: str) -> str:
    return "{}" if encoded == "null" else encoded


def _finish_reason(named: str | None, has_tool_calls: bool) -> FinishReason:
    """Gemini says STOP for tool calls as well."""
    reason = _FINISH_REASONS.get(named or "STOP", FinishReason.STOP)
    return FinishReason.TOOL_CALLS if reason is FinishReason.STOP and has_tool_calls else reason


def _usage(encoded: msgspec.Raw) -> Usage | None:
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


def _refusal(response: HttpResponse, now_s: float) -> ProviderError:
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
    return refusal(_PROVIDER, kind, status, message, response, wait)


def _retry_delay_s(details: object) -> float | None:
    """`retryDelay` of google.rpc.RetryInfo, such as `34.07s`."""
    for entry in details if isinstance(details, list) else []:
        delay = entry.get("retryDelay") if isinstance(entry, dict) else None
        if isinstance(delay, str):
            return seconds(delay)
    return None
