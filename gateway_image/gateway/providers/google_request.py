"""The body of a generateContent call: a `Request` in the words of Gemini."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gateway.model import Image, Message, Request, Role, Sampling, Tool, ToolChoice, ToolChoiceMode
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

_TOOL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}")

_UNSIGNED_GENERATIONS = re.compile(r"gemini-[12][.-]")

_FOREIGN_THOUGHT = "skip_thought_signature_validator"
"""What Google documents for calls in a history that Gemini's validator did not sign: since Gemini 3
a turn with calls is refused without a signature ("Thought signatures", Gemini API guide)."""

_MODES = {
    ToolChoiceMode.AUTO: "AUTO",
    ToolChoiceMode.NONE: "NONE",
    ToolChoiceMode.REQUIRED: "ANY",
    ToolChoiceMode.NAMED: "ANY",
}


def generate_content_input(request: Request, invocation_id: str) -> dict[str, object]:
    """The body of a generateContent call."""
    names = names_of_calls(request)
    signed = not _UNSIGNED_GENERATIONS.match(invocation_id)
    contents: list[dict[str, object]] = []
    asked: list[str] = []
    for turn in turns(request):
        if turn.by_user:
            contents.append({"role": "user", "parts": _user_parts(turn, asked, names)})
        else:
            contents.append({"role": "model", "parts": _model_parts(turn, signed)})
            asked = [call.id for message in turn.messages for call in message.tool_calls]
    body: dict[str, object] = {"contents": contents}
    system = instructions(request)
    if system:
        body["systemInstruction"] = {"parts": [{"text": text} for text in system]}
    configuration = _generation_configuration(request.sampling)
    if configuration:
        body["generationConfig"] = configuration
    if request.tools:
        body["tools"] = [{"functionDeclarations": [_declaration(tool) for tool in request.tools]}]
        body["toolConfig"] = {"functionCallingConfig": _calling(request.tool_choice, request.tools)}
    return body


def _generation_configuration(sampling: Sampling) -> dict[str, object]:
    result: dict[str, object] = {}
    if sampling.max_tokens is not None:
        result["maxOutputTokens"] = sampling.max_tokens
    if sampling.temperature is not None:
        result["temperature"] = sampling.temperature
    if sampling.top_p is not None:
        result["topP"] = sampling.top_p
    stop = [sequence for sequence in sampling.stop if sequence]
    if stop:
        result["stopSequences"] = stop
    return result


def _declaration(tool: Tool) -> dict[str, object]:
    """`parametersJsonSchema` takes JSON Schema as it is; `parameters` would want Google's own dialect."""
    if not _TOOL_NAME.fullmatch(tool.name):
        raise ProviderError(
            FailureKind.UNSUPPORTED,
            f"Gemini's tool names start with a letter or an underscore, {tool.name[:80]!r} does not",
        )
    declaration: dict[str, object] = {"name": tool.name, "parametersJsonSchema": parameters_schema(tool)}
    if tool.description:
        declaration["description"] = tool.description
    return declaration


def _calling(choice: ToolChoice, tools: Iterable[Tool]) -> dict[str, object]:
    """Gemini's word for strict tools is the mode VALIDATED, for all of them at once."""
    mode = _MODES[choice.mode]
    if choice.mode is ToolChoiceMode.AUTO and any(tool.strict for tool in tools):
        mode = "VALIDATED"
    calling: dict[str, object] = {"mode": mode}
    if choice.mode is ToolChoiceMode.NAMED:
        calling["allowedFunctionNames"] = [choice.name]
    return calling


def _model_parts(turn: Turn, signed: bool) -> list[dict[str, object]]:
    parts: list[dict[str, object]] = []
    unsigned = signed
    for message in turn.messages:
        parts.extend({"text": part.text} for part in texts_of(message) if not is_blank(part.text))
        for call in message.tool_calls:
            part: dict[str, object] = {
                "functionCall": {"name": call.name, "args": arguments_object(call)},
            }
            if unsigned:
                part["thoughtSignature"] = _FOREIGN_THOUGHT
                unsigned = False
            parts.append(part)
    return parts


def _user_parts(turn: Turn, asked: list[str], names: dict[str, str]) -> list[dict[str, object]]:
    """Results first and in the order of the calls: Gemini has no ids and matches by name and place."""
    place = {identifier: index for index, identifier in enumerate(asked)}
    results = [message for message in turn.messages if message.role is Role.TOOL]
    results.sort(key=lambda message: place.get(message.tool_call_id or "", len(place)))
    parts: list[dict[str, object]] = [_function_response(message, names) for message in results]
    for message in turn.messages:
        for part in message.content:
            if isinstance(part, Image):
                parts.append(_inline_data(part))
            elif message.role is not Role.TOOL and not is_blank(part.text):
                parts.append({"text": spoken(message, part)})
    return parts


def _function_response(message: Message, names: dict[str, str]) -> dict[str, object]:
    name = names.get(message.tool_call_id or "") or message.name
    if not name:
        raise ProviderError(
            FailureKind.INVALID_REQUEST,
            f"a tool message answers the call {(message.tool_call_id or '')[:80]!r}, which no message makes",
        )
    return {"functionResponse": {"name": name, "response": {"output": message.text}}}


def _inline_data(image: Image) -> dict[str, object]:
    if not image.data:
        raise ProviderError(FailureKind.INVALID_REQUEST, "an image of the request is empty")
    return {"inlineData": {"mimeType": image.media_type, "data": image.data}}
