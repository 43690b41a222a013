"""The body of a Converse call: a `Request` in the words of Amazon Bedrock."""

from __future__ import annotations

import hashlib
import re

from gateway.model import (
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
)
from gateway.providers.adapter import FailureKind, ProviderError
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
