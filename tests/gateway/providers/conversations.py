"""Generated requests: everything `gateway.model` can express and an OpenAI client may send."""

from __future__ import annotations

import json
import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

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

Json = dict[str, Any]

EXAMPLES = int(os.environ.get("ADAPTER_EXAMPLES", "100"))
"""Generated cases for each property; set the variable to 10000 for the long run."""

many = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

texts = st.one_of(
    st.sampled_from(["", " \n", "Grüße aus Köln", '{"a": "b"}', "\x00\u2028"]), st.text(max_size=30)
)
names = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_-]{0,30}", fullmatch=True)
identifiers = st.one_of(st.from_regex(r"call_[a-z0-9]{8}", fullmatch=True), st.text(min_size=1, max_size=90))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
arguments = st.one_of(
    st.dictionaries(st.text(max_size=6), json_values, max_size=3).map(json.dumps),
    st.sampled_from(
        ["", "{}", "null", "[1]", '{"a": ', '{"a": NaN}', "nonsense", '{"big": 12345678901234567890123}']
    ),
)
images = st.builds(
    Image,
    st.sampled_from(["image/png", "image/jpeg", "image/webp", "image/gif"]),
    st.binary(min_size=1, max_size=20),
)
schemas = st.sampled_from(
    [
        {},
        {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        {
            "type": "object",
            "$defs": {"Day": {"type": "string", "format": "date"}},
            "properties": {"when": {"anyOf": [{"$ref": "#/$defs/Day"}, {"type": "null"}]}},
            "additionalProperties": False,
        },
    ]
)
tools = st.builds(Tool, names, texts.filter(bool) | st.just(""), schemas, st.booleans())
samplings = st.builds(
    Sampling,
    st.none() | st.integers(1, 4096),
    st.none() | st.floats(0, 2),
    st.none() | st.floats(0, 1),
    st.lists(st.text(min_size=1, max_size=4), max_size=4).map(tuple),
)


@st.composite
def steps(draw: st.DrawFn) -> list[Message]:
    """One message, or an assistant's calls with the results that answer them, in any order."""
    kind = draw(st.sampled_from(["system", "user", "user", "assistant", "calls", "calls"]))
    said = tuple(Text(each) for each in draw(st.lists(texts, max_size=2)))
    if kind == "system":
        return [Message(Role.SYSTEM, said)]
    if kind == "user":
        shown = tuple(draw(st.lists(images, max_size=1)))
        return [Message(Role.USER, said + shown, name=draw(st.none() | names))]
    if kind == "assistant":
        return [Message(Role.ASSISTANT, said)]
    calls = draw(
        st.lists(
            st.builds(ToolCall, identifiers, names, arguments),
            min_size=1,
            max_size=3,
            unique_by=lambda call: call.id,
        )
    )
    results = [Message(Role.TOOL, (Text(draw(texts)),), tool_call_id=call.id) for call in calls]
    return [Message(Role.ASSISTANT, said, tuple(calls)), *draw(st.permutations(results))]


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """A request an OpenAI client may send, with call ids that are unique in it."""
    messages = [message for step in draw(st.lists(steps(), min_size=1, max_size=5)) for message in step]
    offered = tuple(draw(st.lists(tools, max_size=3, unique_by=lambda tool: tool.name)))
    choice = ToolChoice()
    if offered:
        mode = draw(st.sampled_from(list(ToolChoiceMode)))
        choice = ToolChoice(mode, offered[0].name if mode is ToolChoiceMode.NAMED else None)
    return Request(
        id="request-1",
        messages=_with_unique_ids(messages),
        tools=offered,
        tool_choice=choice,
        sampling=draw(samplings),
    )


def _with_unique_ids(messages: list[Message]) -> tuple[Message, ...]:
    result: list[Message] = []
    renamed: dict[str, str] = {}
    for index, message in enumerate(messages):
        if message.tool_calls:
            renamed = {call.id: f"{call.id}-{index}" for call in message.tool_calls}
            calls = tuple(
                ToolCall(renamed[call.id], call.name, call.arguments_json) for call in message.tool_calls
            )
            result.append(Message(message.role, message.content, calls))
        elif message.tool_call_id is not None:
            result.append(Message(message.role, message.content, tool_call_id=renamed[message.tool_call_id]))
        else:
            result.append(message)
    return tuple(result)


def instructions_of(request: Request) -> list[str]:
    """What the system messages say, blank parts left out."""
    return [
        part.text
        for message in request.messages
        if message.role is Role.SYSTEM
        for part in message.content
        if isinstance(part, Text) and part.text.strip()
    ]


def sayings_of(request: Request) -> list[tuple[str, str]]:
    """(side, text) of everything users and assistants say, blank parts left out, names in front."""
    return [
        (message.role.value, f"{message.name}: {part.text}" if message.name else part.text)
        for message in request.messages
        if message.role in (Role.USER, Role.ASSISTANT)
        for part in message.content
        if isinstance(part, Text) and part.text.strip()
    ]


def images_of(request: Request) -> list[bytes]:
    """The images users show."""
    return [part.data for message in request.messages for part in message.content if isinstance(part, Image)]


def calls_of(request: Request) -> list[ToolCall]:
    """All tool calls, in order."""
    return [call for message in request.messages for call in message.tool_calls]


def results_of(request: Request) -> dict[str, str]:
    """Call id → what the tool answered."""
    return {
        message.tool_call_id or "": message.text for message in request.messages if message.role is Role.TOOL
    }


def as_object(arguments_json: str) -> dict[str, object]:
    """The arguments as a provider that wants an object must get them."""
    if not arguments_json.strip():
        return {}
    try:
        value = json.loads(arguments_json, parse_constant=lambda name: int(name))
    except ValueError:
        return {"unreadable_arguments": arguments_json}
    return value if isinstance(value, dict) else {"unreadable_arguments": arguments_json}


def loaded(encoded: bytes) -> Json:
    """The JSON object in `encoded`."""
    value = json.loads(encoded)
    assert isinstance(value, dict)
    return value
