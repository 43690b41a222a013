"""Amazon Bedrock's Converse interface, for Claude, Llama and every other model Bedrock serves.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html; the shapes are
those of botocore's `bedrock-runtime` service model.
"""

from __future__ import annotations

import functools
import hashlib
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from gateway.model import (
    Completion,
    FinishReason,
    Image,
    Message,
    Request,
    Role,
    Sampling,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolChoiceMode,
    Usage,
)
from gateway.providers.adapter import FailureKind, HttpRequest, HttpResponse, ProviderError
from gateway.providers.aws_signature import Target, signed_headers, target
from gateway.providers.conversation import (
    Turn,
    arguments_object,
    instructions,
    is_blank,
    names_of_calls,
    parameters_schema,
    spoken,
    texts_of,
    turns,
)
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
_IMAGE_FORMATS = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/gif": "gif",
    "image/webp": "webp",
}
_HIGHEST_TEMPERATURE = 1.0
_TOOL_USE_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")

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
        except UnicodeEncodeError:
            raise ProviderError(
                FailureKind.INVALID_REQUEST, "a text of the request is not valid Unicode"
            ) from None
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


def converse_input(request: Request, invocation_id: str) -> dict[str, object]:
    """The body of a Converse call."""
    offered = request.tools if request.tool_choice.mode is not ToolChoiceMode.NONE else ()
    names = names_of_calls(request)
    body: dict[str, object] = {
        "messages": [_turn(turn, names if offered else None, names) for turn in turns(request)]
    }
    system = instructions(request)
    if system:
        body["system"] = [{"text": text} for text in system]
    inference = _inference_configuration(request.sampling, invocation_id)
    if inference:
        body["inferenceConfig"] = inference
    if offered:
        body["toolConfig"] = _tool_configuration(offered, request.tool_choice)
    return body


def _inference_configuration(sampling: Sampling, invocation_id: str) -> dict[str, object]:
    """Converse ends temperature at 1 where OpenAI ends it at 2: beyond, the hottest it can do.

    Claude refuses temperature and top_p together (since 4.1): temperature wins.
    """
    result: dict[str, object] = {}
    if sampling.max_tokens is not None:
        result["maxTokens"] = sampling.max_tokens
    if sampling.temperature is not None:
        result["temperature"] = min(sampling.temperature, _HIGHEST_TEMPERATURE)
    if sampling.top_p is not None and not (sampling.temperature is not None and "anthropic" in invocation_id):
        result["topP"] = sampling.top_p
    stop = [sequence for sequence in sampling.stop if sequence]
    if stop:
        result["stopSequences"] = stop
    return result


def _tool_configuration(tools: tuple[Tool, ...], choice: ToolChoice) -> dict[str, object]:
    configuration: dict[str, object] = {"tools": [{"toolSpec": _tool_specification(tool)} for tool in tools]}
    if choice.mode is ToolChoiceMode.REQUIRED:
        configuration["toolChoice"] = {"any": {}}
    elif choice.mode is ToolChoiceMode.NAMED:
        configuration["toolChoice"] = {"tool": {"name": choice.name}}
    return configuration


def _tool_specification(tool: Tool) -> dict[str, object]:
    if not _TOOL_NAME.fullmatch(tool.name):
        raise ProviderError(
            FailureKind.INVALID_REQUEST,
            f"tool name {tool.name[:80]!r} must be 1 to 64 letters, digits, underscores and hyphens",
        )
    specification: dict[str, object] = {"name": tool.name, "inputSchema": {"json": parameters_schema(tool)}}
    if tool.description:
        specification["description"] = tool.description
    if tool.strict:
        specification["strict"] = True
    return specification


def _turn(turn: Turn, callable_names: dict[str, str] | None, names: dict[str, str]) -> dict[str, object]:
    """One turn. Without tools on offer Converse refuses tool blocks, so past calls are told as text."""
    if not turn.by_user:
        blocks = [
            block for message in turn.messages for block in _assistant_blocks(message, callable_names is None)
        ]
        return {"role": "assistant", "content": blocks}
    results = [message for message in turn.messages if message.role is Role.TOOL]
    blocks = [_tool_result(message, callable_names, names) for message in results]
    for message in turn.messages:
        if message.role is not Role.TOOL:
            blocks.extend(_user_blocks(message))
    return {"role": "user", "content": blocks}


def _user_blocks(message: Message) -> list[dict[str, object]]:
    blocks: list[dict[str, object]] = []
    for part in message.content:
        if isinstance(part, Image):
            blocks.append(_image(part))
        elif not is_blank(part.text):
            blocks.append({"text": spoken(message, part)})
    return blocks


def _assistant_blocks(message: Message, told_as_text: bool) -> list[dict[str, object]]:
    blocks: list[dict[str, object]] = [
        {"text": part.text} for part in texts_of(message) if not is_blank(part.text)
    ]
    for call in message.tool_calls:
        if told_as_text:
            blocks.append({"text": f"[Called {call.name} with {call.arguments_json or '{}'}]"})
        else:
            blocks.append({"toolUse": _tool_use(call)})
    return blocks


def _tool_use(call: ToolCall) -> dict[str, object]:
    return {
        "toolUseId": _fitting_id(call.id),
        "name": _fitting_name(call.name),
        "input": arguments_object(call),
    }


def _tool_result(
    message: Message, callable_names: dict[str, str] | None, names: dict[str, str]
) -> dict[str, object]:
    identifier = message.tool_call_id or ""
    if callable_names is None:
        return {"text": f"[Result of {names.get(identifier, 'the call')}: {message.text}]"}
    content: list[dict[str, object]] = []
    for part in message.content:
        if isinstance(part, Text):
            if not is_blank(part.text):
                content.append({"text": part.text})
        else:
            content.append(_image(part))
    return {"toolResult": {"toolUseId": _fitting_id(identifier), "content": content}}


def _image(image: Image) -> dict[str, object]:
    form = _IMAGE_FORMATS.get(image.media_type.lower())
    if form is None:
        raise ProviderError(
            FailureKind.UNSUPPORTED,
            f"Bedrock reads png, jpeg, gif and webp images, not {image.media_type[:80]!r}",
        )
    if not image.data:
        raise ProviderError(FailureKind.INVALID_REQUEST, "an image of the request is empty")
    return {"image": {"format": form, "source": {"bytes": image.data}}}


def _fitting_id(identifier: str) -> str:
    """The id where Converse allows it, else a stable stand-in: ids of other providers may be longer."""
    if _TOOL_USE_ID.fullmatch(identifier):
        return identifier
    return "call_" + hashlib.sha256(identifier.encode()).hexdigest()[:32]


def _fitting_name(name: str) -> str:
    """A name from the history as Converse allows it: models do invent names, and must see them again."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:64] or "unnamed"


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
