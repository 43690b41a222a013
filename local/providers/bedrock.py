"""Simulated Bedrock: the Converse operation, as strict as the real one is known to be."""

from __future__ import annotations

from typing import cast
from zlib import crc32

import msgspec

from local.providers.aws_shapes import complaints, converse
from local.providers.credentials import check_bedrock
from local.providers.exchange import (
    Asked,
    Choice,
    FinishReason,
    KnownCredentials,
    OfferedTool,
    Received,
    RefusalError,
    Reply,
)

_STOP_REASONS: dict[FinishReason, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "content_filtered",
}
_CODES = {
    400: "ValidationException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}

Json = dict[str, object]


class Bedrock:
    """The Converse wire format."""

    name = "bedrock"

    def authorise(self, received: Received, known: KnownCredentials, now_s: float) -> None:
        """See `Wire.authorise`."""
        check_bedrock(received, known, now_s)

    def read(self, model: str, body: bytes) -> Asked:
        """See `Wire.read`."""
        document = _document(body)
        shape = converse().input_shape
        problems = complaints({**document, "modelId": model}, shape) if shape is not None else []
        if problems:
            raise RefusalError(400, f"{len(problems)} validation errors detected: {'; '.join(problems)}")
        messages = cast(list[Json], document.get("messages", []))
        configuration = cast(Json, document.get("toolConfig", {}))
        _check_conversation(messages, configuration)
        inference = cast(Json, document.get("inferenceConfig", {}))
        return Asked(
            model=model,
            last_user_text=_last_user_text(messages),
            prompt_bytes=len(body),
            tools=_tools(configuration),
            choice=_choice(configuration),
            named_tool=_named(configuration),
            maximum_tokens=cast("int | None", inference.get("maxTokens")),
            stop=tuple(cast(list[str], inference.get("stopSequences", []))),
        )

    def write(self, asked: Asked, reply: Reply) -> Json:
        """See `Wire.write`."""
        content: list[Json] = [{"text": reply.text}] if reply.text else []
        for index, call in enumerate(reply.tool_calls):
            identifier = call.id or f"tooluse_{crc32(asked.last_user_text.encode()):08x}{index:02d}"
            arguments = call.arguments if isinstance(call.arguments, dict) else {"raw": call.arguments}
            content.append({"toolUse": {"toolUseId": identifier, "name": call.name, "input": arguments}})
        answer: Json = {
            "metrics": {"latencyMs": 1},
            "output": {"message": {"content": content, "role": "assistant"}},
            "stopReason": _STOP_REASONS[reply.finish_reason],
        }
        if reply.usage is not None:
            usage = reply.usage
            answer["usage"] = {
                "inputTokens": usage.input_tokens - usage.cached_input_tokens,
                "outputTokens": usage.output_tokens,
                "totalTokens": usage.input_tokens + usage.output_tokens,
                "cacheReadInputTokens": usage.cached_input_tokens,
                "cacheWriteInputTokens": 0,
            }
        return answer

    def write_error(self, status: int, code: str, message: str) -> tuple[Json, dict[str, str]]:
        """See `Wire.write_error`."""
        named = code or _CODES.get(status, "InternalServerException")
        return {"message": message}, {"x-amzn-errortype": f"{named}:http://internal.amazon.com/coral/"}


def _document(body: bytes) -> Json:
    try:
        return msgspec.json.decode(body, type=dict[str, object])
    except (msgspec.MsgspecError, ValueError):
        raise RefusalError(
            400, "Unexpected token in the request body", code="SerializationException"
        ) from None


def _check_conversation(messages: list[Json], configuration: Json) -> None:
    """The rules that the shapes do not express, in the words of the service."""
    if not messages or messages[0]["role"] != "user":
        raise RefusalError(
            400,
            "A conversation must start with a user message.",
        )
    pending: list[str] = []
    for index, message in enumerate(messages):
        if index and message["role"] == messages[index - 1]["role"]:
            raise RefusalError(400, f"messages.{index}: roles must alternate between user and assistant")
        pending = _check_blocks(index, message, pending, bool(configuration))
    for tool in cast(list[Json], configuration.get("tools", [])):
        specification = cast(dict[str, dict[str, Json]], tool)["toolSpec"]
        if specification["inputSchema"]["json"].get("type") != "object":  # type: ignore[attr-defined]
            raise RefusalError(
                400,
                "The value at toolConfig.tools.inputSchema.json.type must be one of the following: object.",
            )


def _check_blocks(index: int, message: Json, pending: list[str], has_tools: bool) -> list[str]:
    """Checks one message after an assistant who asked for `pending`; returns what it asks for itself."""
    blocks = cast(list[dict[str, Json]], message["content"])
    if not blocks:
        raise RefusalError(400, f"The content field in the Message object at messages.{index} is empty.")
    for position, block in enumerate(blocks):
        if "text" in block and not str(block["text"]).strip():
            raise RefusalError(
                400,
                f"The text field in the ContentBlock object at messages.{index}.content.{position} is blank.",
            )
        if "image" in block and message["role"] != "user":
            raise RefusalError(400, "Images are only supported in messages of the user role.")
        if ("toolUse" in block or "toolResult" in block) and not has_tools:
            raise RefusalError(
                400, "The toolConfig field must be defined when using toolUse and toolResult content blocks."
            )
    answered = [str(block["toolResult"]["toolUseId"]) for block in blocks if "toolResult" in block]
    if message["role"] == "user" and sorted(answered) != sorted(pending):
        raise RefusalError(
            400,
            f"messages.{index}: toolResult blocks {answered} do not answer toolUse blocks {pending}.",
        )
    asked = [str(block["toolUse"]["toolUseId"]) for block in blocks if "toolUse" in block]
    if len(set(asked)) != len(asked):
        raise RefusalError(400, f"messages.{index}: toolUse ids must be unique")
    return asked


def _last_user_text(messages: list[Json]) -> str:
    for message in reversed(messages):
        blocks = cast(list[Json], message["content"])
        texts = [str(block["text"]) for block in blocks if "text" in block]
        if message["role"] == "user" and texts:
            return "\n".join(texts)
    return ""


def _tools(configuration: Json) -> tuple[OfferedTool, ...]:
    specifications = [
        cast(Json, tool["toolSpec"]) for tool in cast(list[Json], configuration.get("tools", []))
    ]
    return tuple(
        OfferedTool(str(each["name"]), cast(dict[str, Json], each["inputSchema"])["json"])
        for each in specifications
    )


def _choice(configuration: Json) -> Choice:
    choice = cast(Json, configuration.get("toolChoice", {}))
    if "any" in choice:
        return "required"
    return "named" if "tool" in choice else "auto"


def _named(configuration: Json) -> str | None:
    choice = cast(dict[str, dict[str, str]], configuration.get("toolChoice", {}))
    return choice["tool"]["name"] if "tool" in choice else None
