"""OpenAI's chat completion request, parsed into the gateway's own `Request`.

https://platform.openai.com/docs/api-reference/chat/create. Fields that only tune the answer and are unknown
here are ignored, as OpenAI ignores unknown fields; fields that change its form are refused by name.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from gateway.model import Intent, Message, Request, Role, Sampling, ToolCall
from gateway.surfaces.chat_parts import MAXIMUM_PARTS, Part, read_content
from gateway.surfaces.chat_tools import WireTool, WireToolChoice, read_tool_choice, read_tools
from gateway.surfaces.invalid import invalid, shortened

ROUTER_MODELS = frozenset({"auto", "router"})
"""Model names by which a caller leaves the choice to the gateway."""

MAXIMUM_STOPS = 16
MAXIMUM_MESSAGES = 2048
MAXIMUM_TOOL_CALLS = 128
"""In one message; as many as there may be tools."""

MAXIMUM_PIECES = 4096
"""Parts and tool calls of all messages together: what is done for each holds up every other request."""

MAXIMUM_RESPONSE_FORMAT_BYTES = 64 * 1024
NAMED_IN_ERRORS = 3

Name = Annotated[str, Meta(max_length=256)]
T = TypeVar("T")

_FIELD = re.compile(r"(?:Object (?:missing required|contains unknown) field )?`(\w+(?:\.\w+)*)`")


NOTHING = msgspec.Raw(b"null")
"""What is refused or ignored anyway stays unread."""


class WireFunctionCall(msgspec.Struct, gc=False):
    """The function part of a tool call."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    arguments: str


class WireToolCall(msgspec.Struct, gc=False):
    """A tool call an assistant made earlier in the conversation."""

    id: Annotated[str, Meta(min_length=1, max_length=256)]
    function: WireFunctionCall
    type: Literal["function"] = "function"


class WireMessage(msgspec.Struct, gc=False):
    """One message; which fields it may have depends on its role."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Part] | None = None
    name: Name | None = None
    tool_calls: list[WireToolCall] | None = None
    tool_call_id: Name | None = None
    refusal: str | None = None


class ResponseFormat(msgspec.Struct):
    """The form of the answer."""

    type: str


class StreamOptions(msgspec.Struct):
    """What a streamed answer tells besides its text."""

    include_usage: bool = False


class ChatBody(msgspec.Struct):
    """The body of `POST /v1/chat/completions`."""

    messages: Annotated[list[WireMessage], Meta(min_length=1)]
    model: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    tools: list[WireTool] | None = None
    tool_choice: Literal["auto", "none", "required"] | WireToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    stop: str | Annotated[list[str], Meta(max_length=MAXIMUM_STOPS)] | None = None
    n: int | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    logprobs: bool | None = None
    response_format: msgspec.Raw = NOTHING
    modalities: Annotated[list[str], Meta(max_length=8)] | None = None
    functions: msgspec.Raw = NOTHING
    function_call: msgspec.Raw = NOTHING


_response_format_decoder = msgspec.json.Decoder(ResponseFormat | None)

_ROLES = {
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
    "tool": Role.TOOL,
}


def decode_body(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """The body as the decoder's type.

    Raises:
        RefusalError: `INVALID_REQUEST`, with the path to what is wrong where the JSON itself is sound.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `")
        parameter = _field_at_fault(message, path.removesuffix("`"))
        where = f" at {parameter}" if parameter else ""
        raise invalid(f"Invalid request{where}: {message}.", parameter) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise invalid("The request body is not valid JSON in UTF-8.", None) from None
    except RecursionError:
        raise invalid("The request body is nested too deeply.", None) from None


def _field_at_fault(message: str, path: str) -> str | None:
    """The field `message` is about; `path` leads to a value, or to the object that lacks the field."""
    field = _FIELD.match(message)
    steps = (path.removeprefix("$").removeprefix("."), field.group(1) if field else "")
    return ".".join(step for step in steps if step) or None


def read_request(chat: ChatBody, request_id: str, intent: Intent) -> Request:
    """The provider-neutral request; `intent` says what the surface knows about routing besides the model.

    Raises:
        RefusalError: `INVALID_REQUEST`, naming the field.
    """
    _refuse_what_is_not_offered(chat)
    _refuse_too_many(chat.messages)
    tools = read_tools(chat.tools or [])
    named = chat.model if chat.model not in ROUTER_MODELS else None
    return Request(
        id=request_id,
        messages=_read_messages(chat.messages),
        tools=tools,
        tool_choice=read_tool_choice(chat.tool_choice, tools),
        sampling=_read_sampling(chat),
        intent=msgspec.structs.replace(intent, model=named),
    )


def wants_usage(chat: ChatBody) -> bool:
    """Whether a streamed answer is to end with its usage."""
    return chat.stream_options is not None and chat.stream_options.include_usage


def _refuse_what_is_not_offered(chat: ChatBody) -> None:
    if chat.stream_options is not None and not chat.stream:
        raise invalid("stream_options is for streamed answers; set stream to true.", "stream_options")
    if chat.n not in (None, 1):
        raise invalid("Only one answer is given; leave n out or set it to 1.", "n")
    if chat.logprobs:
        raise invalid("Log probabilities are not offered.", "logprobs")
    if chat.modalities not in (None, ["text"]):
        raise invalid("Answers are text only; leave modalities out.", "modalities")
    if chat.functions != NOTHING or chat.function_call != NOTHING:
        raise invalid("functions and function_call are not offered; use tools and tool_choice.", "functions")
    if chat.parallel_tool_calls is False and chat.tools:
        raise invalid("Parallel tool calls cannot be switched off for every provider.", "parallel_tool_calls")
    if not _is_text(chat.response_format):
        raise invalid('Only response_format {"type": "text"} is offered.', "response_format")


def _is_text(response_format: msgspec.Raw) -> bool:
    if len(memoryview(response_format)) > MAXIMUM_RESPONSE_FORMAT_BYTES:
        return False
    try:
        wanted = _response_format_decoder.decode(response_format)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return wanted is None or wanted.type == "text"


def _refuse_too_many(messages: list[WireMessage]) -> None:
    """Refuse what would take long to read, before anything is done for each message."""
    if len(messages) > MAXIMUM_MESSAGES:
        raise invalid(f"At most {MAXIMUM_MESSAGES} messages may be given, not {len(messages)}.", "messages")
    pieces = 0
    for index, message in enumerate(messages):
        calls = len(message.tool_calls or ())
        if calls > MAXIMUM_TOOL_CALLS:
            raise invalid(
                f"At most {MAXIMUM_TOOL_CALLS} tool calls may be in a message, not {calls}.",
                f"messages[{index}].tool_calls",
            )
        parts = len(message.content) if isinstance(message.content, list) else 0
        if parts > MAXIMUM_PARTS:
            raise invalid(
                f"At most {MAXIMUM_PARTS} parts may be in a message, not {parts}.",
                f"messages[{index}].content",
            )
        pieces += calls + parts
    if pieces > MAXIMUM_PIECES:
        raise invalid(
            f"At most {MAXIMUM_PIECES} parts and tool calls may be in all messages, not {pieces}.", "messages"
        )


def _read_sampling(chat: ChatBody) -> Sampling:
    stop = (chat.stop,) if isinstance(chat.stop, str) else tuple(chat.stop or ())
    if not all(stop):
        raise invalid("A stop sequence is empty.", "stop")
    return Sampling(
        max_tokens=chat.max_completion_tokens or chat.max_tokens,
        temperature=chat.temperature,
        top_p=chat.top_p,
        stop=stop,
    )


def _read_messages(messages: list[WireMessage]) -> tuple[Message, ...]:
    """The messages, in which every tool call has its result before the conversation goes on."""
    read: list[Message] = []
    open_calls: set[str] = set()
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if message.role == "tool":
            if message.tool_call_id not in open_calls:
                raise invalid(
                    f"{where} is a tool result, but no tool call before it waits for tool_call_id "
                    f"{shortened(message.tool_call_id)}.",
                    f"{where}.tool_call_id",
                )
            open_calls.discard(message.tool_call_id)
        elif open_calls:
            raise invalid(f"{where} comes before the results of tool calls {_few(open_calls)}.", where)
        if message.tool_calls and message.role != "assistant":
            raise invalid(f"{where} has tool_calls, which only the assistant makes.", f"{where}.tool_calls")
        for number, call in enumerate(message.tool_calls or ()):
            if call.id in open_calls:
                place = f"{where}.tool_calls[{number}].id"
                raise invalid(f"{place} {shortened(call.id)} is that of another call as well.", place)
            open_calls.add(call.id)
        read.append(_read_message(message, where))
    if open_calls:
        raise invalid(f"The results of tool calls {_few(open_calls)} are missing.", "messages")
    return tuple(read)


def _few(calls: set[str]) -> str:
    """The first of `calls`, and how many there are besides."""
    named = ", ".join(shortened(call) for call in sorted(calls)[:NAMED_IN_ERRORS])
    more = len(calls) - NAMED_IN_ERRORS
    return f"{named} and {more} more" if more > 0 else named


def _read_message(message: WireMessage, where: str) -> Message:
    content = message.content if message.content is not None else message.refusal
    if content is None and message.role != "assistant":
        raise invalid(f"{where} has no content.", f"{where}.content")
    return Message(
        role=_ROLES[message.role],
        content=read_content(content or "", f"{where}.content", images=message.role in ("user", "tool")),
        tool_calls=tuple(
            ToolCall(call.id, call.function.name, call.function.arguments)
            for call in message.tool_calls or ()
        ),
        tool_call_id=message.tool_call_id if message.role == "tool" else None,
        name=message.name,
    )
