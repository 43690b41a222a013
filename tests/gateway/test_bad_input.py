"""Whatever a caller sends, the answer has OpenAI's error shape and the right status, and leaks nothing."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.gateway.running import HELLO, MAXIMUM_BODY_BYTES, Gateway
from tests.gateway.stores import ADMIN_KEY, CLIENT_KEY
from tests.gateway.upstreams import Upstreams

CHAT = "/v1/chat/completions"

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def gateway(shared_gateway: Gateway) -> Gateway:
    shared_gateway.application.circuits.forget()
    return shared_gateway


@pytest.fixture
def upstreams(shared_upstreams: Upstreams) -> Upstreams:
    shared_upstreams.reset()
    return shared_upstreams


def user(content: object = "hi") -> dict[str, object]:
    return {"role": "user", "content": content}


def tool(parameters: object, name: str = "f") -> dict[str, object]:
    return {"tools": [{"type": "function", "function": {"name": name, "parameters": parameters}}]}


def image(url: str) -> dict[str, object]:
    return {"messages": [user([{"type": "image_url", "image_url": {"url": url}}])]}


CALLS = {
    "role": "assistant",
    "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}

INVALID: dict[str, tuple[dict[str, object], str | None]] = {
    "no messages": ({"messages": []}, "messages"),
    "messages missing": ({"messages": None}, "messages"),
    "messages of the wrong type": ({"messages": "hi"}, "messages"),
    "unknown role": ({"messages": [{"role": "wizard", "content": "hi"}]}, "messages[0].role"),
    "role missing": ({"messages": [{"content": "hi"}]}, "messages[0].role"),
    "content missing": ({"messages": [{"role": "user"}]}, "messages[0].content"),
    "content of the wrong type": ({"messages": [user(5)]}, "messages[0].content"),
    "unknown content part": ({"messages": [user([{"type": "smell"}])]}, "messages[0].content[0].type"),
    "image to be fetched": (image("https://example.org/cat.png"), "messages[0].content[0].image_url.url"),
    "image of an unknown type": (
        image("data:image/tiff;base64,AAAA"),
        "messages[0].content[0].image_url.url",
    ),
    "image that is no base64": (image("data:image/png;base64,%%%"), "messages[0].content[0].image_url.url"),
    "empty image": (image("data:image/png;base64,"), "messages[0].content[0].image_url.url"),
    "image from the system": (
        {"messages": [{"role": "system", "content": image("x")["messages"][0]["content"]}]},  # type: ignore[index]
        "messages[0].content[0].image_url",
    ),
    "tool result without a call": (
        {"messages": [user(), {"role": "tool", "tool_call_id": "1", "content": "x"}]},
        "messages[1].tool_call_id",
    ),
    "call without a result": ({"messages": [user(), CALLS]}, "messages"),
    "conversation before the result": ({"messages": [user(), CALLS, user()]}, "messages[2]"),
    "temperature too high": ({"temperature": 3}, "temperature"),
    "max_tokens of zero": ({"max_tokens": 0}, "max_tokens"),
    "max_tokens as text": ({"max_tokens": "many"}, "max_tokens"),
    "empty stop": ({"stop": [""]}, "stop"),
    "options of a stream that is none": ({"stream_options": {"include_usage": True}}, "stream_options"),
    "several answers": ({"n": 2}, "n"),
    "log probabilities": ({"logprobs": True}, "logprobs"),
    "audio": ({"modalities": ["text", "audio"]}, "modalities"),
    "response format": ({"response_format": {"type": "json_object"}}, "response_format"),
    "legacy functions": ({"functions": []}, "functions"),
    "sequential tool calls": ({**tool({}), "parallel_tool_calls": False}, "parallel_tool_calls"),
    "schema of an unknown type": (tool({"type": "object", "properties": {"a": {"type": "strnig"}}}), None),
    "schema that is no object schema": (tool({"type": "string"}), "tools[0].function.parameters"),
    "schema that is a list": (tool([1]), "tools[0].function.parameters"),
    "required that is no list": (tool({"type": "object", "required": "a"}), "tools[0].function.parameters"),
    "tool name with a blank": (tool({}, "a b"), "tools[0].function.name"),
    "two tools of one name": ({"tools": [*tool({})["tools"], *tool({})["tools"]]}, "tools[1].function.name"),  # type: ignore[misc]
    "tool of an unknown kind": ({"tools": [{"type": "custom", "custom": {}}]}, None),
    "required tool without tools": ({"tool_choice": "required"}, "tool_choice"),
    "choice of an unknown tool": (
        {**tool({}), "tool_choice": {"type": "function", "function": {"name": "g"}}},
        "tool_choice",
    ),
    "unknown choice": ({"tool_choice": "perhaps"}, "tool_choice"),
    "model of the wrong type": ({"model": 5}, "model"),
}


@pytest.mark.parametrize("case", INVALID)
@pytest.mark.parametrize("path", [CHAT, "/v1/route"])
async def test_a_wrong_request_is_told_which_field_is_wrong(gateway: Gateway, case: str, path: str) -> None:
    fields, parameter = INVALID[case]
    reply = await gateway.post(path, {**HELLO, **fields})
    assert reply.status == 400, reply.body
    assert reply.error["type"] == "invalid_request_error"
    if parameter is not None:
        assert reply.error["param"] == parameter


BROKEN = {
    "nothing": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "null": b"null",
    "not UTF-8": b'{"messages": [{"role": "user", "content": "\xff\xfe"}]}',
    "half a surrogate pair": b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
    "not UTF-8 in a schema": b'{"messages": [{"role": "user", "content": "x"}], '
    b'"tools": [{"type": "function", "function": {"name": "f", "parameters": {"a": "\xff"}}}]}',
    "nested too deeply": b'{"x": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "schema nested too deeply": b'{"messages": [{"role": "user", "content": "x"}], "tools": [{'
    b'"type": "function", "function": {"name": "f", "parameters": '
    + b'{"a":' * 20_000
    + b"1"
    + b"}" * 20_000
    + b"}}]}",
    "a number beyond floats": b'{"messages": [{"role": "user", "content": "x"}], "temperature": 1e999}',
    "NaN": b'{"messages": [{"role": "user", "content": "x"}], "temperature": NaN}',
}


@pytest.mark.parametrize("case", BROKEN)
async def test_a_body_that_is_no_request_is_a_callers_error(gateway: Gateway, case: str) -> None:
    for path in (CHAT, "/v1/route"):
        reply = await gateway.post(path, BROKEN[case])
        assert reply.status == 400, reply.body
        assert reply.error["type"] == "invalid_request_error"
    assert (await gateway.admin("models", BROKEN[case])).status == 400


async def test_a_schema_as_deep_as_json_allows_neither_crashes_nor_hangs(gateway: Gateway) -> None:
    schema = b'{"type":"object","properties":{"a":' * 200 + b"{}" + b"}}" * 200
    reply = await gateway.post(
        CHAT,
        b'{"messages": [{"role": "user", "content": "x"}], "tools": [{"type": "function", "function": '
        b'{"name": "f", "parameters": ' + schema + b"}}]}",
    )
    assert reply.status in (200, 400)


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/completions", "/v1/chat/completions/", "/%00"])
async def test_an_unknown_path_is_not_found(gateway: Gateway, path: str) -> None:
    reply = await gateway.call("GET", path)
    assert reply.status == 404
    assert reply.error["code"] == "unknown_url"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", CHAT, "POST"), ("DELETE", "/v1/models", "GET"), ("PUT", "/v1/admin/models", "GET, POST")],
)
async def test_a_wrong_method_is_told_the_right_one(
    gateway: Gateway, method: str, path: str, allowed: str
) -> None:
    reply = await gateway.call(method, path)
    assert reply.status == 405
    assert reply.headers["allow"] == allowed
    assert reply.error["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    "key", [None, "", "wrong", CLIENT_KEY + "x", CLIENT_KEY[:-1], ADMIN_KEY, "schlüssel"]
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", CHAT), ("POST", "/v1/route"), ("GET", "/v1/models"), ("GET", "/v1/stats")],
)
async def test_every_call_needs_a_clients_key(
    gateway: Gateway, method: str, path: str, key: str | None
) -> None:
    reply = await gateway.call(method, path, key=key)
    assert reply.status == 401
    assert reply.error["code"] == "invalid_api_key"
    assert CLIENT_KEY not in reply.body.decode()


async def test_a_clients_key_does_not_administrate(gateway: Gateway) -> None:
    reply = await gateway.admin("models", {}, key=CLIENT_KEY)
    assert reply.status == 403
    assert reply.error["code"] == "insufficient_permissions"
    assert (await gateway.admin("models", {}, key="wrong")).status == 401


async def test_a_body_over_the_limit_is_refused_before_it_is_read(gateway: Gateway) -> None:
    reply = await gateway.post(CHAT, {"messages": [user("x" * MAXIMUM_BODY_BYTES)]})
    assert reply.status == 413
    assert reply.error["code"] == "request_too_large"
    assert str(MAXIMUM_BODY_BYTES) in str(reply.error["message"])


async def test_a_body_without_a_length_is_cut_off_at_the_limit(gateway: Gateway) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {CLIENT_KEY}\r\n".encode())
    writer.write(b"transfer-encoding: chunked\r\n\r\n")
    for _ in range(MAXIMUM_BODY_BYTES // 10_000 + 2):
        writer.write(b"2710\r\n" + b"x" * 10_000 + b"\r\n")
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"request_too_large" in answer


async def test_a_body_of_exactly_the_limit_is_accepted(gateway: Gateway) -> None:
    body = json.dumps({"messages": [user("")]}).encode()
    filled = body.replace(b'""', b'"' + b"x" * (MAXIMUM_BODY_BYTES - len(body)) + b'"')
    assert len(filled) == MAXIMUM_BODY_BYTES
    assert (await gateway.post(CHAT, filled)).status == 200


async def test_a_connection_survives_a_refused_request(gateway: Gateway) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    for _ in range(2):
        writer.write(
            f"POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: 5000\r\n\r\n".encode() + b"x" * 5000
        )
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert head.startswith(b"HTTP/1.1 401 ")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
    writer.close()


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("x-budget-tier", "lavish"),
        ("x-sla-ms", "soon"),
        ("x-sla-ms", "0"),
        ("x-sla-ms", "-5"),
        ("x-sla-ms", "9" * 30),
        ("x-require-tools", "yes"),
        ("x-domain", "d" * 65),
        ("x-domain", ""),
    ],
)
async def test_a_wrong_hint_names_its_header(gateway: Gateway, header: str, value: str) -> None:
    reply = await gateway.post(CHAT, HELLO, headers={header: value})
    assert reply.status == 400
    assert reply.error["param"] == header


@pytest.mark.parametrize("header", ["authorization", "x-domain", "x-budget-tier"])
async def test_a_header_given_twice_is_refused(gateway: Gateway, header: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    given = {"authorization": f"Bearer {CLIENT_KEY}", "x-domain": "legal", "x-budget-tier": "low"}
    lines = [f"{name}: {value}" for name, value in given.items()] + [f"{header.title()}: {given[header]}"]
    body = json.dumps(HELLO)
    head = [f"POST {CHAT} HTTP/1.1", "host: x", *lines, f"content-length: {len(body)}", "connection: close"]
    writer.write(("\r\n".join(head) + "\r\n\r\n" + body).encode())
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["param"] == header


@pytest.mark.parametrize(
    ("field", "value"), [("budget_tier", "lavish"), ("sla_ms", 0), ("dry_run", "yes"), ("domain", "")]
)
async def test_a_wrong_routing_field_is_named(gateway: Gateway, field: str, value: object) -> None:
    reply = await gateway.route(**{field: value})
    assert reply.status == 400
    assert reply.error["param"] == field


@pytest.mark.parametrize("path", [CHAT, "/v1/route"])
async def test_an_unknown_domain_is_refused_and_a_known_one_known_in_any_case(
    gateway: Gateway, upstreams: Upstreams, path: str
) -> None:
    async def asked_in(domain: str) -> tuple[int, object]:
        reply = await gateway.post(path, {**HELLO, "domain": domain}, headers={"x-domain": domain})
        return reply.status, reply.error["param"] if "error" in reply.json else None

    upstreams.bedrock.status = 500
    assert await asked_in("medical,general") == (400, "domain")
    assert await asked_in("MEDICAL") == (503, None)
    assert len(upstreams.bedrock.requests) == 2
    assert not upstreams.google.requests + upstreams.llama.requests, "medical is closed to them"


async def test_an_unexpected_failure_tells_nothing_but_the_requests_id(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: object) -> None:
        raise KeyError("the password is swordfish")

    monkeypatch.setattr("gateway.routing.router.decide", explode)
    reply = await gateway.route()
    assert reply.status == 500
    assert reply.error["code"] == "internal_error"
    assert reply.headers["x-request-id"] in str(reply.error["message"])
    assert "swordfish" not in reply.body.decode()


async def test_no_eligible_model_says_which_filter_excluded_each(
    gateway: Gateway, upstreams: Upstreams
) -> None:
    reply = await gateway.route(model="gemini-2.5-pro", domain="medical")
    assert reply.status == 400
    assert reply.error["code"] == "no_eligible_model"
    assert "google#gemini-2.5-pro" in str(reply.error["message"])
    assert "closed_domain" in str(reply.error["message"])
    assert not upstreams.google.requests


async def test_a_request_too_long_for_every_model_is_told_so(gateway: Gateway) -> None:
    reply = await gateway.route(
        model="llama-3.2-3b-instruct", messages=[user("word " * 30_000)], max_tokens=8192
    )
    assert reply.status == 200
    images = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}] * 250
    reply = await gateway.route(model="claude-haiku-4-5", messages=[user(images)])
    assert reply.status == 400
    assert reply.error["code"] == "context_length_exceeded"
