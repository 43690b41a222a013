"""Amazon Bedrock's Converse interface, for Claude, Llama and every other model Bedrock serves.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html; the shapes are
those of botocore's `bedrock-runtime` service model.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from gateway.model import Completion, FinishReason, Request, ToolCall, Usage
from gateway.providers.adapter import FailureKind, HttpRequest, HttpResponse, ProviderError
from gateway.providers.aws_signature import Target, signed_headers, target
from gateway.providers.bedrock_request import converse_input
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
from gateway.providers.token_estimate import estimated_usage

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials

_PROVIDER = "Bedrock"
_SIGNING_NAME = "bedrock"

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


class BearerToken(msgspec.Struct, frozen=True):
    """A Bedrock API key, as in `AWS_BEARER_TOKEN_BEDROCK`."""

    token: str

    def __repr__(self) -> str:
        return "BearerToken(…)"


class _ToolUse(msgspec.Struct, rename="camel"):
    name: str
    tool_use_id: str = ""
    input: msgspec.Raw = msgspec.Raw(b"{}")


class _Block(msgspec.Struct, rename="camel"):
    text: str | None = None
    tool_use: _ToolUse | None = None


class _Message(msgspec.Struct):
    content: list[_Block]


class _Output(msgspec.Struct):
    message: _Message


class _Answer(msgspec.Struct, rename="camel"):
    output: _Output
    stop_reason: str = ""
    usage: msgspec.Raw = msgspec.Raw(b"null")


class _Usage(msgspec.Struct, rename="camel"):
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int = 0
    cache_write_input_tokens: int = 0


_encoder = msgspec.json.Encoder()
_answer_decoder = msgspec.json.Decoder(_Answer)
_usage_decoder = msgspec.json.Decoder(_Usage)


class BedrockAdapter:
    """Converse over HTTPS, signed with the task's role or a Bedrock API key.

    `credentials` is asked for every request, so that rotated ones are taken up; None means that
    there are none. `endpoint_url` has no trailing path, e.g. `https://bedrock-runtime.eu-central-1.amazonaws.com`.
    """

    def __init__(
        self,
        region: str,
        endpoint_url: str,
        credentials: Callable[[], ReadOnlyCredentials | BearerToken | None],
        *,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._region = region
        self._credentials = credentials
        self._now_s = now_s
        base = endpoint_url.rstrip("/")

        @functools.lru_cache(maxsize=256)
        def target_of(invocation_id: str) -> Target:
            return target(f"{base}/model/{quote(invocation_id, safe='')}/converse")

        self._target_of = target_of

    def prepare(self, request: Request, invocation_id: str) -> HttpRequest:
        """See `Adapter.prepare`."""
        try:
            body = _encoder.encode(converse_input(request, invocation_id))
        except (UnicodeEncodeError, RecursionError) as error:
            raise unencodable(error) from None
        where = self._target_of(invocation_id)
        return HttpRequest("POST", where.url, self._headers(where, body), body)

    def parse(self, response: HttpResponse, request: Request) -> Completion:
        """See `Adapter.parse`."""
        if response.status != 200:
            raise _refusal(response, self._now_s())
        answer = decode_answer(response, _answer_decoder, _PROVIDER)
        if answer.stop_reason in _MALFORMED:
            raise broken_answer(_PROVIDER, f"the model stopped with {answer.stop_reason}", response.status)
        blocks = answer.output.message.content
        text = "".join([block.text for block in blocks if block.text is not None])
        tool_calls = _tool_calls(blocks, request)
        return Completion(
            text=text,
            finish_reason=_finish_reason(answer.stop_reason, bool(tool_calls)),
            usage=_usage(answer.usage) or estimated_usage(request, text, tool_calls),
            tool_calls=tool_calls,
        )

    def _headers(self, where: Target, body: bytes) -> dict[str, str]:
        credentials = self._credentials()
        if credentials is None:
            raise ProviderError(FailureKind.AUTHENTICATION, "no AWS credentials are at hand for Bedrock")
        if isinstance(credentials, BearerToken):
            return {"content-type": "application/json", "authorization": f"Bearer {credentials.token}"}
        return signed_headers(
            where, body, credentials, region=self._region, service=_SIGNING_NAME, now_s=self._now_s()
        )


def _tool_calls(blocks: list[_Block], request: Request) -> tuple[ToolCall, ...]:
    uses = [block.tool_use for block in blocks if block.tool_use is not None]
    if not uses:
        return ()
    try:
        return tuple(
            ToolCall(
                id=use.tool_use_id or f"call_{request.id}_{index}",
                name=use.name,
                arguments_json=bytes(use.input).decode(),
            )
            for index, use in enumerate(uses)
        )
    except UnicodeDecodeError:
        raise broken_answer(_PROVIDER, "the arguments of a tool call are not UTF-8", 200) from None


def _finish_reason(stop_reason: str, has_tool_calls: bool) -> FinishReason:
    reason = _FINISH_REASONS.get(stop_reason, FinishReason.STOP)
    if reason in (FinishReason.STOP, FinishReason.TOOL_CALLS):
        return FinishReason.TOOL_CALLS if has_tool_calls else FinishReason.STOP
    return reason


def _usage(encoded: msgspec.Raw) -> Usage | None:
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


def _refusal(response: HttpResponse, now_s: float) -> ProviderError:
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
    return refusal(_PROVIDER, kind, code, message, response, retry_after_s(response.headers, now_s))
