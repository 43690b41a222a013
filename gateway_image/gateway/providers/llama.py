"""Llama behind any OpenAI-compatible `chat/completions` endpoint: vLLM, llama.cpp, Ollama, hosted ones.

The shapes are OpenAI's (`openai.types.chat`), kept to what such servers have in common.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from gateway.model import Completion, FinishReason, Request, ToolCall, Usage
from gateway.providers.adapter import FailureKind, HttpRequest, HttpResponse, ProviderError
from gateway.providers.conversation import unencodable
from gateway.providers.http_answer import (
    broken_answer,
    decode_answer,
    decode_refusal,
    kind_of_complaint,
    kind_of_status,
    refusal,
    retry_after_s,
    text_of,
)
from gateway.providers.llama_request import chat_completion_input
from gateway.providers.token_estimate import estimated_usage

_PROVIDER = "Llama"

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


class _Function(msgspec.Struct):
    name: str
    arguments: msgspec.Raw = msgspec.Raw(b'""')


class _ToolCall(msgspec.Struct):
    function: _Function
    id: str | None = None


class _ContentPart(msgspec.Struct):
    text: str | None = None


class _Message(msgspec.Struct):
    content: str | list[_ContentPart] | None = None
    tool_calls: list[_ToolCall] | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Answer(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = msgspec.Raw(b"null")
    error: msgspec.Raw = msgspec.Raw(b"null")


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None


_encoder = msgspec.json.Encoder()
_answer_decoder = msgspec.json.Decoder(_Answer)
_usage_decoder = msgspec.json.Decoder(_Usage)
_text_decoder = msgspec.json.Decoder(str)


class LlamaAdapter:
    """Chat completions of an OpenAI-compatible server.

    `base_url` reaches up to and including `/v1`; `api_key` gives the current key, or None where
    there is none.
    """

    def __init__(
        self,
        base_url: str,
        api_key: Callable[[], str | None],
        *,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._url = f"{base_url.rstrip('/')}/chat/completions"
        self._api_key = api_key
        self._now_s = now_s

    def prepare(self, request: Request, invocation_id: str) -> HttpRequest:
        """See `Adapter.prepare`."""
        try:
            body = _encoder.encode(chat_completion_input(request, invocation_id))
        except (UnicodeEncodeError, RecursionError) as error:
            raise unencodable(error) from None
        key = self._api_key()
        if not key:
            raise ProviderError(FailureKind.AUTHENTICATION, "no API key is at hand for Llama")
        headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
        return HttpRequest("POST", self._url, headers, body)

    def parse(self, response: HttpResponse, request: Request) -> Completion:
        """See `Adapter.parse`. Some servers report errors with status 200: those are errors here too."""
        if response.status != 200:
            raise _refusal(response, self._now_s())
        answer = decode_answer(response, _answer_decoder, _PROVIDER)
        if not answer.choices:
            if bytes(answer.error) != b"null":
                raise _refusal(response, self._now_s())
            raise broken_answer(_PROVIDER, "it holds no choice", response.status)
        choice = answer.choices[0]
        text = _text(choice.message)
        tool_calls = _tool_calls(choice.message.tool_calls or [], request)
        return Completion(
            text=text,
            finish_reason=_finish_reason(choice, bool(tool_calls)),
            usage=_usage(answer.usage) or estimated_usage(request, text, tool_calls),
            tool_calls=tool_calls,
        )


def _text(message: _Message) -> str:
    content = message.content
    if isinstance(content, list):
        return "".join([part.text for part in content if part.text is not None])
    return content or message.refusal or ""


def _tool_calls(calls: list[_ToolCall], request: Request) -> tuple[ToolCall, ...]:
    return tuple(
        ToolCall(
            id=call.id or f"call_{request.id}_{index}",
            name=call.function.name,
            arguments_json=_arguments(bytes(call.function.arguments)),
        )
        for index, call in enumerate(calls)
    )


def _arguments(encoded: bytes) -> str:
    """OpenAI sends arguments as text that holds JSON; some servers send the object itself."""
    try:
        if encoded[:1] == b'"':
            return _text_decoder.decode(encoded) or "{}"
        return "{}" if encoded == b"null" else encoded.decode()
    except (msgspec.MsgspecError, ValueError):
        raise broken_answer(_PROVIDER, "the arguments of a tool call are not UTF-8", 200) from None


def _finish_reason(choice: _Choice, has_tool_calls: bool) -> FinishReason:
    """The reason named, except that calls make it `tool_calls` and their absence unmakes it."""
    reason = _FINISH_REASONS.get(choice.finish_reason or "stop", FinishReason.STOP)
    if choice.message.refusal and reason is FinishReason.STOP:
        return FinishReason.CONTENT_FILTER
    if reason in (FinishReason.STOP, FinishReason.TOOL_CALLS):
        return FinishReason.TOOL_CALLS if has_tool_calls else FinishReason.STOP
    return reason


def _usage(encoded: msgspec.Raw) -> Usage | None:
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


def _refusal(response: HttpResponse, now_s: float) -> ProviderError:
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
        _PROVIDER, kind, code or category, message, response, retry_after_s(response.headers, now_s)
    )


def _kind_of_status(status: int, code: str) -> FailureKind:
    """Some servers put the status into the error's code; with status 200 it is all there is."""
    if status == 200:
        status = int(code) if code.isdecimal() and len(code) == 3 else 500
    return kind_of_status(status)
