"""A completion as OpenAI's chat completion object.

https://platform.openai.com/docs/api-reference/chat/object
"""

from __future__ import annotations

import msgspec

from gateway.model import Completion, FinishReason, Usage
from gateway.pipeline import Answer


class WireFunctionCall(msgspec.Struct, frozen=True):
    """The function part of a tool call."""

    name: str
    arguments: str


class WireToolCall(msgspec.Struct, frozen=True):
    """A call the model asks the application to make."""

    id: str
    function: WireFunctionCall
    type: str = "function"


class WireAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The assistant's message."""

    role: str
    content: str | None
    refusal: str | None
    tool_calls: list[WireToolCall] | None = None


class WireChoice(msgspec.Struct, frozen=True):
    """The one answer."""

    message: WireAnswer
    finish_reason: FinishReason
    index: int = 0
    logprobs: None = None


class WireCachedTokens(msgspec.Struct, frozen=True):
    """Details of the prompt's tokens."""

    cached_tokens: int


class WireReasoningTokens(msgspec.Struct, frozen=True):
    """Details of the answer's tokens."""

    reasoning_tokens: int


class WireUsage(msgspec.Struct, frozen=True):
    """Token counts."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: WireCachedTokens
    completion_tokens_details: WireReasoningTokens


class ChatCompletion(msgspec.Struct, frozen=True):
    """The whole object. `created` is in seconds since the epoch."""

    id: str
    created: int
    model: str
    choices: list[WireChoice]
    usage: WireUsage
    object: str = "chat.completion"


def chat_completion(answer: Answer, request_id: str, created_s: int) -> ChatCompletion:
    """The object for `answer`, under the name of the model that gave it."""
    completion = answer.completion
    return ChatCompletion(
        id=f"chatcmpl-{request_id.removeprefix('req_')}",
        created=created_s,
        model=answer.item.model,
        choices=[WireChoice(_message(completion), completion.finish_reason)],
        usage=wire_usage(completion.usage),
    )


def _message(completion: Completion) -> WireAnswer:
    calls = [
        WireToolCall(call.id, WireFunctionCall(call.name, call.arguments_json))
        for call in completion.tool_calls
    ]
    content = None if calls and not completion.text else completion.text
    return WireAnswer("assistant", content, None, calls or None)


def wire_usage(usage: Usage) -> WireUsage:
    """`usage` as OpenAI counts it."""
    return WireUsage(
        prompt_tokens=usage.input_tokens,
        completion_tokens=usage.output_tokens,
        total_tokens=usage.input_tokens + usage.output_tokens,
        prompt_tokens_details=WireCachedTokens(usage.cached_input_tokens),
        completion_tokens_details=WireReasoningTokens(usage.reasoning_tokens),
    )
