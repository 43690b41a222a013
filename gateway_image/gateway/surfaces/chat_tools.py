"""The tools of a chat request, and what the caller says about their use."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Annotated, Literal

import jsonschema_rs
import msgspec
from msgspec import Meta

from gateway.model import Tool, ToolChoice, ToolChoiceMode
from gateway.surfaces.invalid import invalid, shortened

MAXIMUM_TOOLS = 128
MAXIMUM_SCHEMA_BYTES = 64 * 1024
MAXIMUM_SCHEMAS_BYTES = 256 * 1024
"""Of one tool, and of all tools of a request: while schemas are judged, every other request waits."""

KNOWN_VERDICTS = 1024
LONGEST_COMPLAINT = 300

FunctionName = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}\Z")]


class WireFunction(msgspec.Struct):
    """A function tool; `parameters` stays raw until its schema is judged."""

    name: FunctionName
    description: str | None = None
    parameters: msgspec.Raw = msgspec.Raw(b"null")
    strict: bool | None = None


class WireTool(msgspec.Struct):
    """A tool; only functions are offered."""

    function: WireFunction
    type: Literal["function"] = "function"


class WireChosenFunction(msgspec.Struct):
    """The function a caller insists on."""

    name: str


class WireToolChoice(msgspec.Struct):
    """A choice by name."""

    function: WireChosenFunction
    type: Literal["function"] = "function"


def read_tools(tools: list[WireTool]) -> tuple[Tool, ...]:
    """The tools, each with a sound schema.

    Raises:
        RefusalError: `INVALID_REQUEST` for too many tools, two of one name, or a schema that is none.
    """
    if len(tools) > MAXIMUM_TOOLS:
        raise invalid(f"At most {MAXIMUM_TOOLS} tools may be given, not {len(tools)}.", "tools")
    _refuse_large_schemas(tools)
    read: dict[str, Tool] = {}
    for index, tool in enumerate(tools):
        function = tool.function
        where = f"tools[{index}].function"
        if function.name in read:
            raise invalid(f"Two tools are named {function.name!r}.", f"{where}.name")
        parameters = _judged_schema(bytes(function.parameters))
        if isinstance(parameters, str):
            raise invalid(
                f"Invalid schema for function {function.name!r}: {parameters}", f"{where}.parameters"
            )
        read[function.name] = Tool(
            function.name, function.description or "", parameters, bool(function.strict)
        )
    return tuple(read.values())


def read_tool_choice(choice: str | WireToolChoice | None, tools: tuple[Tool, ...]) -> ToolChoice:
    """What the caller wants done with `tools`.

    Raises:
        RefusalError: `INVALID_REQUEST` for a choice that no tool can satisfy.
    """
    if choice is None:
        return ToolChoice()
    if isinstance(choice, str):
        mode = ToolChoiceMode(choice)
        if mode is ToolChoiceMode.REQUIRED and not tools:
            raise invalid("tool_choice requires a tool call, but no tools are given.", "tool_choice")
        return ToolChoice(mode)
    if choice.function.name not in {tool.name for tool in tools}:
        raise invalid(
            f"tool_choice names {shortened(choice.function.name)}, which is not in tools.", "tool_choice"
        )
    return ToolChoice(ToolChoiceMode.NAMED, choice.function.name)


def _refuse_large_schemas(tools: list[WireTool]) -> None:
    total = 0
    for index, tool in enumerate(tools):
        size = len(memoryview(tool.function.parameters))
        total += size
        if size > MAXIMUM_SCHEMA_BYTES:
            raise invalid(
                f"The schema of function {tool.function.name!r} has {size} bytes; "
                f"at most {MAXIMUM_SCHEMA_BYTES} are accepted.",
                f"tools[{index}].function.parameters",
            )
    if total > MAXIMUM_SCHEMAS_BYTES:
        raise invalid(
            f"The schemas of all tools have {total} bytes; at most {MAXIMUM_SCHEMAS_BYTES} are accepted.",
            "tools",
        )


def _judged_schema(raw: bytes) -> dict[str, object] | str:
    """The schema, or what is wrong with it."""
    try:
        schema = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "it is not readable JSON."
    if schema is None or schema == {}:
        return {"type": "object", "properties": {}}
    if not isinstance(schema, dict):
        return "it is not an object."
    if schema.get("type", "object") != "object":
        return 'its type must be "object".'
    return _verdicts.of(raw, schema) or schema


class _Verdicts:
    """What was said about schemas before: applications send the same tools every time.

    Kept by digest, so that what it takes does not depend on how large callers' schemas are.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, str | None] = OrderedDict()

    def of(self, raw: bytes, schema: dict[str, object]) -> str | None:
        """What is wrong with `schema`, which is `raw` decoded; None where nothing is."""
        digest = hashlib.sha256(raw).digest()
        if digest in self._known:
            self._known.move_to_end(digest)
            return self._known[digest]
        verdict = self._known[digest] = _complaint(schema)
        if len(self._known) > KNOWN_VERDICTS:
            self._known.popitem(last=False)
        return verdict


_verdicts = _Verdicts()


def _complaint(schema: dict[str, object]) -> str | None:
    """What the JSON Schema drafts in use say against `schema`; None where one of them accepts it.

    Its own `$schema` is left out, because an unknown one would be fetched over the network.
    """
    judged = {name: value for name, value in schema.items() if name != "$schema"}
    try:
        if any(draft.is_valid(judged) for draft in _META_SCHEMAS):
            return None
        error = next(_META_SCHEMAS[0].iter_errors(judged))
    except (ValueError, RecursionError) as problem:
        return f"{str(problem)[:200]}."
    place = "".join(f"[{step!r}]" for step in error.instance_path)
    return f"{error.message[:200]}{' at ' + place if place else ''}"[:LONGEST_COMPLAINT] + "."


_META_SCHEMAS = (
    jsonschema_rs.Draft202012Validator({"$ref": "https://json-schema.org/draft/2020-12/schema"}),
    jsonschema_rs.Draft7Validator({"$ref": "http://json-schema.org/draft-07/schema#"}),
)
"""Today's draft, and the one many schema generators still write."""
