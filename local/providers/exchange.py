"""What the simulation reads out of a request and puts into an answer, whatever the wire format."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from local.providers.schema_example import example

Choice = Literal["auto", "none", "required", "named"]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]

_BYTES_PER_TOKEN = 4


class OfferedTool(msgspec.Struct, frozen=True):
    """A tool the caller offers, with the JSON Schema of its arguments."""

    name: str
    schema: dict[str, object]


class Asked(msgspec.Struct, frozen=True):
    """What a valid request asks for."""

    model: str
    last_user_text: str
    prompt_bytes: int
    tools: tuple[OfferedTool, ...] = ()
    choice: Choice = "auto"
    named_tool: str | None = None
    maximum_tokens: int | None = None
    stop: tuple[str, ...] = ()
    tells_usage: bool = True


class ToolCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tool call to answer with. Arguments given as text are sent as they are where the format can."""

    name: str
    arguments: dict[str, object] | str = msgspec.field(default_factory=dict)
    id: str | None = None


class Usage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Token counts to report; input includes cached, output includes reasoning."""

    input_tokens: int
    output_tokens: int
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0


class Reply(msgspec.Struct, frozen=True):
    """An answer before it is written in a provider's format. `usage` None leaves it out."""

    text: str
    finish_reason: FinishReason
    usage: Usage | None
    tool_calls: tuple[ToolCall, ...] = ()


class Received(msgspec.Struct, frozen=True):
    """A request as it came over the wire: `raw_path` percent-encoded, header names in lower case."""

    method: str
    url_origin: str
    raw_path: str
    headers: dict[str, str]
    body: bytes


class KnownCredentials(msgspec.Struct, forbid_unknown_fields=True):
    """Registered secrets: access key id → secret key, API keys, account email → public key in PEM."""

    aws: dict[str, str] = msgspec.field(default_factory=dict)
    llama: list[str] = msgspec.field(default_factory=list)
    llama_administrators: list[str] = msgspec.field(default_factory=list)
    google: dict[str, str] = msgspec.field(default_factory=dict)


class RefusalError(Exception):
    """A request the provider would refuse.

    `code` is the provider's own word for it, empty where the status implies it.
    """

    def __init__(self, status: int, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code


class Wire(Protocol):
    """One provider's wire format."""

    name: str

    def authorise(self, received: Received, known: KnownCredentials, now_s: float) -> None:
        """Check the credentials a request carries.

        Raises:
            RefusalError: where the real provider would refuse them.
        """
        ...

    def read(self, model: str, body: bytes) -> Asked:
        """The request in `body`.

        Raises:
            RefusalError: where the real provider would refuse it.
        """
        ...

    def write(self, asked: Asked, reply: Reply) -> dict[str, object]:
        """The JSON body that answers `asked` with `reply`."""
        ...

    def write_error(self, status: int, code: str, message: str) -> tuple[dict[str, object], dict[str, str]]:
        """The JSON body and the extra headers of an error answer."""
        ...


def default_reply(provider: str, asked: Asked) -> Reply:
    """Says who answered and what the user said last, or makes the tool call that is demanded."""
    tool = _demanded_tool(asked)
    if tool is not None:
        call = ToolCall(name=tool.name, arguments=_arguments(tool))
        return Reply("", "tool_calls", plausible_usage(asked, msgspec.json.encode(call.arguments)), (call,))
    text = f"{asked.model} on {provider} (simulated) heard: {asked.last_user_text or 'nothing'}"
    finish_reason: FinishReason = "stop"
    for sequence in asked.stop:
        text = text.split(sequence, 1)[0]
    if asked.maximum_tokens is not None and _tokens(len(text.encode())) > asked.maximum_tokens:
        text, finish_reason = text[: asked.maximum_tokens * _BYTES_PER_TOKEN], "length"
    return Reply(text, finish_reason, plausible_usage(asked, text.encode()))


def plausible_usage(asked: Asked, written: bytes) -> Usage:
    """Deterministic counts of about the right size."""
    return Usage(input_tokens=_tokens(asked.prompt_bytes), output_tokens=_tokens(len(written)))


def _demanded_tool(asked: Asked) -> OfferedTool | None:
    if asked.choice == "named":
        return next((tool for tool in asked.tools if tool.name == asked.named_tool), None)
    return asked.tools[0] if asked.choice == "required" and asked.tools else None


def _arguments(tool: OfferedTool) -> dict[str, object]:
    arguments = example(tool.schema)
    return arguments if isinstance(arguments, dict) else {}


def _tokens(size: int) -> int:
    return max(1, -(-size // _BYTES_PER_TOKEN))
