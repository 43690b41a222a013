"""Parsing a chat request: what is sound arrives whole, and nothing unsound gets further or crashes."""

from __future__ import annotations

import json
from collections.abc import Callable

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gateway.failures import Reason, RefusalError
from gateway.model import Image, Intent, Request, Role, Text, ToolChoiceMode
from gateway.surfaces.chat_request import decode_body, read_request
from gateway.surfaces.routing import RouteBody

decoder = msgspec.json.Decoder(RouteBody)

SOUND: dict[str, object] = {
    "model": "auto",
    "messages": [
        {"role": "developer", "content": "Be brief."},
        {
            "role": "user",
            "name": "ada",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAEC", "detail": "low"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}},
                {"id": "b", "type": "function", "function": {"name": "look", "arguments": "not json"}},
            ],
        },
        {"role": "tool", "tool_call_id": "b", "content": "two"},
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "one"}]},
    ],
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "look",
                "description": "Looks",
                "strict": True,
                "parameters": {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"},
            },
        },
        {"type": "function", "function": {"name": "no_parameters"}},
    ],
    "tool_choice": {"type": "function", "function": {"name": "look"}},
    "max_tokens": 5,
    "max_completion_tokens": 7,
    "stop": "END",
    "temperature": 0,
    "top_p": 1,
}


def parse(body: object) -> Request:
    return read_request(decode_body(json.dumps(body).encode(), decoder), "req_1", Intent(domain="legal"))


def test_everything_in_a_sound_request_arrives() -> None:
    request = parse(SOUND)
    system, user, assistant, second, first = request.messages
    assert (system.role, system.text) == (Role.SYSTEM, "Be brief.")
    assert user.content == (Text("What is this?"), Image("image/png", b"\x00\x01\x02"))
    assert user.name == "ada"
    assert [call.arguments_json for call in assistant.tool_calls] == ['{"at": 1}', "not json"]
    assert [(each.tool_call_id, each.text) for each in (second, first)] == [("b", "two"), ("a", "one")]
    assert request.tools[0].strict
    assert request.tools[1].parameters == {"type": "object", "properties": {}}
    assert (request.tool_choice.mode, request.tool_choice.name) == (ToolChoiceMode.NAMED, "look")
    assert request.sampling.max_tokens == 7
    assert request.sampling.stop == ("END",)
    assert request.intent == Intent(domain="legal")


def test_a_schema_of_an_older_draft_is_sound() -> None:
    pair = {"type": "object", "properties": {"pair": {"type": "array", "items": [{"type": "string"}]}}}
    request = parse(
        SOUND | {"tools": [{"type": "function", "function": {"name": "look", "parameters": pair}}]}
    )
    assert request.tools[0].parameters == pair


def test_a_schema_that_names_an_address_is_not_fetched() -> None:
    schema = {"$schema": "http://127.0.0.1:9/draft", "type": "object", "$ref": "http://127.0.0.1:9/other"}
    parse(SOUND | {"tools": [{"type": "function", "function": {"name": "look", "parameters": schema}}]})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


def places(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every path into a JSON value."""
    found = [path]
    if isinstance(value, dict):
        steps: list[tuple[str | int, object]] = list(value.items())
    else:
        steps = list(enumerate(value)) if isinstance(value, list) else []
    for step, inner in steps:
        found += places(inner, (*path, step))
    return found


def replaced(value: object, path: tuple[str | int, ...], new: object) -> object:
    if not path:
        return new
    step = path[0]
    if isinstance(value, dict):
        return {k: replaced(v, path[1:], new) if k == step else v for k, v in value.items()}
    assert isinstance(value, list)
    return [replaced(v, path[1:], new) if i == step else v for i, v in enumerate(value)]


def refusal_of(act: Callable[[], object]) -> RefusalError | None:
    """How `act` is refused, or None where it is not; anything else it raises fails the test."""
    try:
        act()
    except RefusalError as refusal:
        return refusal
    return None


@given(st.sampled_from(places(SOUND)), json_values)
def test_whatever_stands_anywhere_in_a_request_it_is_read_or_refused(
    path: tuple[str | int, ...], value: object
) -> None:
    refusal = refusal_of(lambda: parse(replaced(SOUND, path, value)))
    assert refusal is None or refusal.reason is Reason.INVALID_REQUEST


@given(st.binary(max_size=200))
def test_whatever_bytes_a_body_has_it_is_refused_and_nothing_worse(body: bytes) -> None:
    refusal = refusal_of(lambda: decode_body(body, decoder))
    assert refusal is not None
    assert refusal.reason is Reason.INVALID_REQUEST
