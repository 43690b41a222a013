"""The conversation as Converse and Gemini want it: instructions apart, then strictly alternating turns.

OpenAI's form, which `model.py` follows, allows system messages anywhere, several messages of one
role in a row and an assistant who speaks first. The other two allow none of these.
"""

from __future__ import annotations

import msgspec

from gateway.model import Message, Request, Role, Text, Tool, ToolCall
from gateway.providers.adapter import FailureKind, ProviderError

OPENING_TEXT = "(The conversation begins.)"
"""What the user is taken to have said where a conversation has no user turn to open it."""

UNREADABLE_ARGUMENTS = "unreadable_arguments"
"""The key under which arguments that are no JSON object are shown to the model that wrote them."""

_EMPTY_OBJECT = msgspec.Raw(b"{}")
_NO_PARAMETERS: dict[str, object] = {"type": "object", "properties": {}}
_object_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Turn(msgspec.Struct, frozen=True):
    """Everything one side said before the other side spoke; tool results are the user's side."""

    by_user: bool
    messages: tuple[Message, ...]


def instructions(request: Request) -> list[str]:
    """The texts of all system messages, in order.

    One that stands between turns moves to the front with the others: the providers take
    instructions in one place only.
    """
    texts: list[str] = []
    for message in request.messages:
        if message.role is Role.SYSTEM:
            texts.extend(spoken(message, part) for part in texts_of(message) if not is_blank(part.text))
    return texts


def turns(request: Request) -> list[Turn]:
    """The conversation without its instructions, opened by the user and strictly alternating."""
    result: list[Turn] = []
    pending: list[Message] = []
    by_user = True
    for message in request.messages:
        if message.role is Role.SYSTEM or is_silent(message):
            continue
        side = message.role is not Role.ASSISTANT
        if side is not by_user and (pending or not result):
            result.append(Turn(by_user, tuple(pending) or (_opening(),)))
            pending = []
        by_user = side
        pending.append(message)
    if pending or not result:
        result.append(Turn(by_user, tuple(pending) or (_opening(),)))
    return result


def texts_of(message: Message) -> tuple[Text, ...]:
    """The message's parts, all of which must be text.

    Raises:
        ProviderError: `INVALID_REQUEST` where one is an image; only users and tools may show images.
    """
    parts: list[Text] = []
    for part in message.content:
        if not isinstance(part, Text):
            raise ProviderError(
                FailureKind.INVALID_REQUEST,
                f"a message of role {message.role.value!r} carries an image: only user and tool messages may",
            )
        parts.append(part)
    return tuple(parts)


def is_blank(text: str) -> bool:
    """True for text the providers refuse as empty."""
    return not text or text.isspace()


def is_silent(message: Message) -> bool:
    """True for a message that says nothing, which the providers refuse."""
    if message.role is Role.TOOL or message.tool_calls:
        return False
    return all(isinstance(part, Text) and is_blank(part.text) for part in message.content)


def spoken(message: Message, part: Text) -> str:
    """The part's text, led by the speaker's name where there is one: only OpenAI has a field for it."""
    return f"{message.name}: {part.text}" if message.name else part.text


def arguments_object(call: ToolCall) -> msgspec.Raw | dict[str, str]:
    """The call's arguments as the JSON object both providers insist on, byte for byte where they are one."""
    text = call.arguments_json
    if is_blank(text):
        return _EMPTY_OBJECT
    encoded = text.encode()
    try:
        _object_decoder.decode(encoded)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return {UNREADABLE_ARGUMENTS: text}
    return msgspec.Raw(encoded)


def parameters_schema(tool: Tool) -> dict[str, object]:
    """The tool's schema; a tool without one takes no parameters, and the providers want that said."""
    return tool.parameters or _NO_PARAMETERS


def names_of_calls(request: Request) -> dict[str, str]:
    """Tool call id → name of the tool, over the whole conversation."""
    return {call.id: call.name for message in request.messages for call in message.tool_calls}


def unencodable(error: Exception) -> ProviderError:
    """The error for a request that cannot be written as JSON at all."""
    if isinstance(error, RecursionError):
        return ProviderError(FailureKind.INVALID_REQUEST, "a tool's schema is nested too deeply")
    return ProviderError(FailureKind.INVALID_REQUEST, "a text of the request is not valid Unicode")


def _opening() -> Message:
    return Message(role=Role.USER, content=(Text(OPENING_TEXT),))
