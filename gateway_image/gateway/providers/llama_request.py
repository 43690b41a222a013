"""The body of a chat completion call: a `Request` in the words of OpenAI."""

from __future__ import annotations

import base64

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
from gateway.providers.conversation import parameters_schema, texts_of


def chat_completion_input(request: Request, invocation_id: str) -> dict[str, object]:
    """The body of a chat completion call."""
    body: dict[str, object] = {
        "model": invocation_id,
        "messages": [_message(message) for message in request.messages],
    }
    _add_sampling(body, request.sampling)
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
        body["tool_choice"] = _tool_choice(request.tool_choice)
    return body


def _add_sampling(body: dict[str, object], sampling: Sampling) -> None:
    if sampling.max_tokens is not None:
        body["max_tokens"] = sampling.max_tokens
    if sampling.temperature is not None:
        body["temperature"] = sampling.temperature
    if sampling.top_p is not None:
        body["top_p"] = sampling.top_p
    stop = [sequence for sequence in sampling.stop if sequence]
    if stop:
        body["stop"] = stop


def _tool(tool: Tool) -> dict[str, object]:
    function: dict[str, object] = {"name": tool.name, "parameters": parameters_schema(tool)}
    if tool.description:
        function["description"] = tool.description
    if tool.strict:
        function["strict"] = True
    return {"type": "function", "function": function}


def _tool_choice(choice: ToolChoice) -> object:
    if choice.mode is ToolChoiceMode.NAMED:
        return {"type": "function", "function": {"name": choice.name}}
    return choice.mode.value


def _message(message: Message) -> dict[str, object]:
    result: dict[str, object] = {"role": message.role.value}
    if message.role is Role.USER:
        result["content"] = _user_content(message)
    elif message.role is Role.TOOL:
        result["content"] = _tool_content(message)
        result["tool_call_id"] = message.tool_call_id or ""
    else:
        text = "".join(part.text for part in texts_of(message))
        result["content"] = text
    if message.tool_calls:
        result["tool_calls"] = [_tool_call(call) for call in message.tool_calls]
    if message.name and message.role is not Role.TOOL:
        result["name"] = message.name
    return result


def _user_content(message: Message) -> object:
    """One string where all is text: not every server reads a list."""
    if not any(isinstance(part, Image) for part in message.content):
        return message.text
    return [
        {"type": "text", "text": part.text} if isinstance(part, Text) else _image(part)
        for part in message.content
    ]


def _tool_content(message: Message) -> str:
    if any(isinstance(part, Image) for part in message.content):
        raise ProviderError(
            FailureKind.UNSUPPORTED, "an OpenAI-compatible endpoint takes no images in a tool's result"
        )
    return message.text


def _image(image: Image) -> dict[str, object]:
    if not image.data:
        raise ProviderError(FailureKind.INVALID_REQUEST, "an image of the request is empty")
    encoded = base64.b64encode(image.data).decode()
    return {"type": "image_url", "image_url": {"url": f"data:{image.media_type};base64,{encoded}"}}


def _tool_call(call: ToolCall) -> dict[str, object]:
    """Arguments stay the text the model wrote: this format is the one that carries invalid JSON."""
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments_json or "{}"},
    }
