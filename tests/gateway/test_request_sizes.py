"""No request takes more memory or time on the event loop than the limits allow; each limit is named."""

from __future__ import annotations

import json
import time
import tracemalloc

import msgspec
import pytest

from gateway.failures import Reason, RefusalError
from gateway.model import Intent, Request
from gateway.surfaces import chat_tools
from gateway.surfaces.chat_parts import MAXIMUM_PARTS
from gateway.surfaces.chat_request import (
    MAXIMUM_MESSAGES,
    MAXIMUM_PIECES,
    MAXIMUM_TOOL_CALLS,
    decode_body,
    read_request,
)
from gateway.surfaces.routing import RouteBody

decoder = msgspec.json.Decoder(RouteBody)


def user(content: object = "hi") -> dict[str, object]:
    return {"role": "user", "content": content}


def tool(parameters: object, name: str = "look") -> dict[str, object]:
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def schema_of(size: int, mark: str = "") -> dict[str, object]:
    """A sound schema of exactly `size` bytes."""
    schema: dict[str, object] = {"type": "object", "description": mark}
    return schema | {"description": mark + "x" * (size - len(msgspec.json.encode(schema)))}


def parse(**fields: object) -> Request:
    body = msgspec.json.encode({"messages": [user()], **fields})
    return read_request(decode_body(body, decoder), "req_1", Intent())


def refused(**fields: object) -> RefusalError:
    with pytest.raises(RefusalError) as refusal:
        parse(**fields)
    assert refusal.value.reason is Reason.INVALID_REQUEST
    assert len(refusal.value.message) < 1000
    return refusal.value


def test_a_schema_over_the_limit_names_its_tool_and_the_limit() -> None:
    limit = chat_tools.MAXIMUM_SCHEMA_BYTES
    parse(tools=[tool(schema_of(limit))])
    refusal = refused(tools=[tool({}, "other"), tool(schema_of(limit + 1))])
    assert "'look'" in refusal.message
    assert str(limit) in refusal.message
    assert refusal.parameter == "tools[1].function.parameters"


def test_schemas_over_the_limit_together_are_refused() -> None:
    one = chat_tools.MAXIMUM_SCHEMA_BYTES
    fitting = chat_tools.MAXIMUM_SCHEMAS_BYTES // one
    parse(tools=[tool(schema_of(one), f"t{number}") for number in range(fitting)])
    refusal = refused(tools=[tool(schema_of(one), f"t{number}") for number in range(fitting + 1)])
    assert str(chat_tools.MAXIMUM_SCHEMAS_BYTES) in refusal.message
    assert refusal.parameter == "tools"


def test_more_tools_than_openai_takes_are_refused() -> None:
    tools = [tool({}, f"t{number}") for number in range(129)]
    parse(tools=tools[:128])
    assert "128" in refused(tools=tools).message


def test_what_is_remembered_of_schemas_does_not_grow_with_their_size() -> None:
    parse(tools=[tool(schema_of(60_000, "warm"))])
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(100):
            parse(tools=[tool(schema_of(60_000, str(number)))])
        kept = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert kept < 500_000, f"{kept} bytes kept of 100 schemas of 60 kB: the schemas themselves are remembered"


def test_the_number_of_remembered_verdicts_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_tools, "KNOWN_VERDICTS", 3)
    monkeypatch.setattr(chat_tools, "_verdicts", known := chat_tools._Verdicts())
    for number in range(9):
        parse(tools=[tool({"type": "object", "description": str(number)})])
    assert len(known._known) == 3


def test_a_wrong_schema_is_refused_again_from_memory_and_in_few_words() -> None:
    wrong = {"type": "object", "properties": {"p" * 5000: {"type": "x" * 5000}}}
    first, second = refused(tools=[tool(wrong)]), refused(tools=[tool(wrong)])
    assert first.message == second.message
    assert json.dumps(first.message)


def calls(count: int) -> dict[str, object]:
    function = {"name": "look", "arguments": "{}"}
    made = [{"id": f"call_{number}", "type": "function", "function": function} for number in range(count)]
    return {"role": "assistant", "tool_calls": made}


def results(count: int) -> list[dict[str, object]]:
    return [{"role": "tool", "tool_call_id": f"call_{number}", "content": "x"} for number in range(count)]


def test_messages_over_the_limit_are_refused() -> None:
    parse(messages=[user()] * MAXIMUM_MESSAGES)
    refusal = refused(messages=[user()] * (MAXIMUM_MESSAGES + 1))
    assert str(MAXIMUM_MESSAGES) in refusal.message
    assert refusal.parameter == "messages"


def test_tool_calls_over_the_limit_are_refused() -> None:
    parse(messages=[user(), calls(MAXIMUM_TOOL_CALLS), *results(MAXIMUM_TOOL_CALLS)])
    refusal = refused(messages=[user(), calls(MAXIMUM_TOOL_CALLS + 1), *results(MAXIMUM_TOOL_CALLS + 1)])
    assert str(MAXIMUM_TOOL_CALLS) in refusal.message
    assert refusal.parameter == "messages[1].tool_calls"


def test_parts_over_the_limit_are_refused() -> None:
    part = {"type": "text", "text": "x"}
    parse(messages=[user([part] * MAXIMUM_PARTS)])
    refusal = refused(messages=[user(), user([part] * (MAXIMUM_PARTS + 1))])
    assert str(MAXIMUM_PARTS) in refusal.message
    assert refusal.parameter == "messages[1].content"


def test_parts_of_all_messages_over_the_limit_are_refused() -> None:
    full = user([{"type": "text", "text": "x"}] * MAXIMUM_PARTS)
    parse(messages=[full] * (MAXIMUM_PIECES // MAXIMUM_PARTS))
    refusal = refused(
        messages=[full] * (MAXIMUM_PIECES // MAXIMUM_PARTS) + [user([{"type": "text", "text": "x"}])]
    )
    assert str(MAXIMUM_PIECES) in refusal.message
    assert refusal.parameter == "messages"


BODY_BYTES = 10_000_000
MANY: dict[str, dict[str, object]] = {
    "messages": {"messages": [user()] * 250_000},
    "parts": {"messages": [user([{"type": "text", "text": "x"}] * 300_000)]},
    "tool calls": {"messages": [user(), calls(100_000)]},
    "properties": {"tools": [tool({"properties": {f"p{number}": {} for number in range(200_000)}})]},
    "functions": {"functions": [[]] * 2_000_000},
    "response format": {"response_format": {f"p{number}": 1 for number in range(500_000)}},
}


@pytest.mark.parametrize("case", MANY)
def test_a_body_full_of_small_things_is_refused_quickly(case: str) -> None:
    body = msgspec.json.encode({"messages": [user()], **MANY[case]})
    assert len(body) < BODY_BYTES
    started_s = time.process_time()
    with pytest.raises(RefusalError):
        read_request(decode_body(body, decoder), "req_1", Intent())
    assert time.process_time() - started_s < 0.6


def test_calls_without_results_are_named_as_far_as_it_helps() -> None:
    refusal = refused(messages=[user(), calls(100)])
    assert "'call_0', 'call_1', 'call_10' and 97 more" in refusal.message
    refusal = refused(messages=[user(), calls(2), user()])
    assert "'call_0', 'call_1'." in refusal.message


def test_a_long_id_is_not_repeated_whole() -> None:
    call = {"id": "i" * 256, "type": "function", "function": {"name": "look", "arguments": "{}"}}
    assert "i" * 100 not in refused(messages=[user(), {"role": "assistant", "tool_calls": [call]}]).message
    unknown = {"role": "tool", "tool_call_id": "i" * 256, "content": "x"}
    assert "i" * 100 not in refused(messages=[user(), unknown]).message


def test_two_open_calls_of_one_id_are_refused() -> None:
    twice = calls(1)["tool_calls"]
    assert isinstance(twice, list)
    messages = [user(), {"role": "assistant", "tool_calls": [*twice, *twice]}, *results(1)]
    assert refused(messages=messages).parameter == "messages[1].tool_calls[1].id"


def test_an_id_may_come_again_once_its_call_has_a_result() -> None:
    parse(messages=[user(), calls(1), *results(1), calls(1), *results(1)])


def test_a_tool_name_does_not_end_in_a_line_break() -> None:
    assert refused(tools=[tool({}, "look\n")]).parameter == "tools[0].function.name"


def test_a_response_format_of_text_is_what_is_given_anyway() -> None:
    parse(response_format={"type": "text"})
    parse(response_format=None)
    assert refused(response_format={"type": "json_object"}).parameter == "response_format"
    assert refused(response_format=["text"]).parameter == "response_format"
