"""No request takes more memory or time on the event loop than the limits allow; each limit is named."""

from __future__ import annotations

import json
import tracemalloc

import msgspec
import pytest

from gateway.failures import Reason, RefusalError
from gateway.model import Intent, Request
from gateway.surfaces import chat_tools
from gateway.surfaces.chat_request import decode_body, read_request
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
