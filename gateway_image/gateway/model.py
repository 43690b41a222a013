"""The provider-neutral types every module of the gateway speaks.

A surface parses its wire message into one `Request`; an adapter turns that into a provider's
wire format and the provider's answer into one `Completion`. Nothing outside `surfaces` and
`providers` knows a wire format.
"""

from __future__ import annotations

import enum

import msgspec


class Role(enum.StrEnum):
    """Who speaks in a message."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class Text(msgspec.Struct, frozen=True, tag="text"):
    """A run of plain text."""

    text: str


class Image(msgspec.Struct, frozen=True, tag="image"):
    """An image carried in the request: raw bytes and their media type, e.g. `image/png`."""

    media_type: str
    data: bytes


class ToolCall(msgspec.Struct, frozen=True):
    """A call the model asks the application to make.

    `arguments_json` is the JSON object exactly as the model produced it: text, because models
    do produce invalid JSON and the application is the one to judge it.
    """

    id: str
    name: str
    arguments_json: str


class Message(msgspec.Struct, frozen=True):
    """One turn of the conversation.

    `tool_calls` is only set on assistant messages, `tool_call_id` only on tool messages.
    """

    role: Role
    content: tuple[Text | Image, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None

    @property
    def text(self) -> str:
        """All text of the message, images left out."""
        return "".join(part.text for part in self.content if isinstance(part, Text))


class Tool(msgspec.Struct, frozen=True):
    """A function the model may call; `parameters` is its JSON Schema, an object schema."""

    name: str
    description: str = ""
    parameters: dict[str, object] = msgspec.field(default_factory=dict)
    strict: bool = False


class ToolChoiceMode(enum.StrEnum):
    """How free the model is to call tools."""

    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"
    NAMED = "named"


class ToolChoice(msgspec.Struct, frozen=True):
    """`name` is set exactly when the mode is `NAMED`."""

    mode: ToolChoiceMode = ToolChoiceMode.AUTO
    name: str | None = None


class Sampling(msgspec.Struct, frozen=True):
    """How the answer is drawn. `None` leaves the choice to the provider."""

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()


class BudgetTier(enum.StrEnum):
    """What the caller is willing to pay for; the route set says what each tier weighs."""

    LOW = "low"
    STANDARD = "standard"
    PREMIUM = "premium"


class Intent(msgspec.Struct, frozen=True):
    """What the caller asks of the routing, not of the model.

    `model` names one registered model (`claude-sonnet`), or is None where the router chooses.
    `sla_ms` is the latency the caller would like, in milliseconds; None takes the tier's.
    `require_tools` refuses models that cannot call tools natively.
    """

    model: str | None = None
    domain: str = "general"
    budget_tier: BudgetTier = BudgetTier.STANDARD
    sla_ms: int | None = None
    require_tools: bool = False


class Request(msgspec.Struct, frozen=True):
    """One request for a completion, whatever surface it came through."""

    id: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = ToolChoice()
    sampling: Sampling = Sampling()
    intent: Intent = Intent()


class Usage(msgspec.Struct, frozen=True):
    """Tokens of one call.

    `input_tokens` includes `cached_input_tokens`; `output_tokens` includes `reasoning_tokens`.
    `estimated` marks counts the provider did not report.
    """

    input_tokens: int
    output_tokens: int
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False


class FinishReason(enum.StrEnum):
    """Why the model stopped, in the words OpenAI clients expect."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"


class Completion(msgspec.Struct, frozen=True):
    """What a provider answered."""

    text: str
    finish_reason: FinishReason
    usage: Usage
    tool_calls: tuple[ToolCall, ...] = ()


class TextDelta(msgspec.Struct, frozen=True, tag="text_delta"):
    """The next piece of a streamed answer's text; never empty."""

    text: str


class ToolCallStart(msgspec.Struct, frozen=True, tag="tool_call_start"):
    """A tool call begins. `index` counts the calls of the answer from 0."""

    index: int
    id: str
    name: str


class ToolCallArguments(msgspec.Struct, frozen=True, tag="tool_call_arguments"):
    """The next piece of the arguments of the call `index`: text that becomes JSON once it is whole."""

    index: int
    piece: str


class Thinking(msgspec.Struct, frozen=True, tag="thinking"):
    """The model is at work without saying anything; what it thinks is not passed on."""


class Finished(msgspec.Struct, frozen=True, tag="finished"):
    """The whole answer was sent: the last event of every stream that did not fail, and never another."""

    finish_reason: FinishReason
    usage: Usage


StreamEvent = TextDelta | ToolCallStart | ToolCallArguments | Thinking | Finished
"""What a streamed answer consists of, in the order in which the model makes it."""
