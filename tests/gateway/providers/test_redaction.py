"""What providers say in their errors reaches callers and logs without keys, accounts and addresses."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model import Message, Request, Role, Text
from gateway.providers.adapter import Adapter, FailureKind, HttpResponse, ProviderError
from gateway.providers.google import GoogleAdapter
from gateway.providers.http_answer import kind_of_complaint, printable
from gateway.providers.llama import LlamaAdapter

PRIVATE = {
    "OpenAI's key": "sk-SECRET-123",
    "key shown in part": "sk-SECR**************12ab",
    "project key": "sk-proj-abc_DEF-123456789",
    "bearer token": "Bearer abcdef123456",
    "Google's key": "AIzaSyD-1234567890abcdefghijklmnop",
    "Google's token": "ya29.a0AfH6SMB",
    "AWS key id": "AKIAIOSFODNN7EXAMPLE",
    "temporary AWS key id": "ASIAIOSFODNN7EXAMPLE",
    "AWS secret key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY1",
    "JWT": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
    "role": "arn:aws:iam::123456789012:role/x",
    "model": "arn:aws-us-gov:bedrock:eu-central-1:123456789012:inference-profile/eu.x-v1:0",
    "account": "123456789012",
    "IPv4": "10.0.12.7",
    "IPv4 with port": "10.0.12.7:8443",
    "IPv6": "fd00:ec2::254",
    "long IPv6": "2001:0db8:0000:0000:0000:ff00:0042:8329",
    "host": "vllm-7.models.internal",
    "host with port": "bedrock-runtime.eu-central-1.amazonaws.com:443",
    "cluster host": "llama.default.svc.cluster.local",
    "local host": "localhost:8080",
    "EC2 host": "ip-10-0-12-7",
    "address": "https://user:word@vllm/v1?key=abc",
}


@pytest.mark.parametrize("case", PRIVATE)
@pytest.mark.parametrize(
    "sentence", ["{}", "Wrong: {}.", 'the "{}", and so on', "({})", "x={}; y", "a\n{}\tb"]
)
def test_what_is_private_is_taken_out(case: str, sentence: str) -> None:
    told = printable(sentence.format(PRIVATE[case]), 500)
    assert PRIVATE[case] not in told
    for piece in (part for part in PRIVATE[case].split(".") if len(part) > 3):
        assert piece not in told, f"{piece!r} of the {case} is left in {told!r}"


def test_a_host_that_is_known_by_its_port_alone_is_taken_out() -> None:
    assert (
        printable("Cannot connect to host vllm:8000 ssl:default", 500)
        == "Cannot connect to host [address] ssl:default"
    )


@pytest.mark.parametrize(
    "text",
    [
        "messages.0.content.1.text: Field required",
        "max_tokens: 5000 > 4096, which is the maximum allowed number of output tokens",
        "Invalid value at 'generation_config.temperature' (TYPE_FLOAT), 3",
        "The model returned the following errors: tools.0.custom.input_schema: JSON schema is invalid.",
        "eu.anthropic.claude-haiku-4-5-20251001-v1:0 is not supported",
        "prompt is too long: 210000 tokens > 200000 maximum",
        "Function names must match ^[a-zA-Z0-9_-]{1,64}$, e.g. look_up",
    ],
)
def test_what_helps_the_caller_stays(text: str) -> None:
    assert printable(text, 500) == text


@given(st.text(max_size=300), st.text(max_size=300))
def test_a_key_is_taken_out_wherever_it_stands(before: str, after: str) -> None:
    assert "SECRET-123" not in printable(f"{before} sk-SECRET-123 {after}", 500)


@given(st.integers(0, 5000))
def test_a_key_that_the_limit_cuts_in_two_does_not_show(position: int) -> None:
    assert "SECR" not in printable(("10.0.0.1 " * 600)[:position] + " sk-SECRET-123-456 ", 500)


def test_long_texts_cost_little() -> None:
    for text in ("a." * 100_000, "a-" * 100_000, "1:" * 100_000, "0." * 100_000, "x" * 100_000):
        assert len(printable(text, 500)) <= 500


@pytest.mark.parametrize(
    "complaint",
    [
        "Incorrect API key provided: sk-SECRET-123. You can find your API key at https://example.com",
        "API key not valid. Please pass a valid API key.",
        "API key expired. Please renew the API key.",
        "You didn't provide an API key.",
        "Invalid api_key",
        "The security token included in the request is invalid.",
        "Missing credentials",
    ],
)
def test_a_complaint_about_the_gateways_key_is_not_the_callers_fault(complaint: str) -> None:
    assert kind_of_complaint(complaint) is FailureKind.AUTHENTICATION
    request = Request(id="req_1", messages=(Message(role=Role.USER, content=(Text("hi"),)),))
    body = msgspec.json.encode({"error": {"message": complaint, "status": "INVALID_ARGUMENT"}})
    adapters: tuple[Adapter, ...] = (
        LlamaAdapter("https://llama.internal/v1", lambda: "key"),
        GoogleAdapter("https://google.internal", "p", "eu", lambda: "token"),
    )
    for adapter in adapters:
        with pytest.raises(ProviderError) as failed:
            adapter.parse(HttpResponse(400, {"content-type": "application/json"}, body), request)
        assert failed.value.kind is FailureKind.AUTHENTICATION
        assert complaint[:12] not in failed.value.message


@pytest.mark.parametrize(
    "complaint", ["messages: field required", "Invalid value for key `api`", "tools.0: name must be unique"]
)
def test_other_complaints_stay_the_callers(complaint: str) -> None:
    assert kind_of_complaint(complaint) is FailureKind.INVALID_REQUEST


def test_what_the_caller_is_told_of_a_refusal_holds_no_role() -> None:
    request = Request(id="req_1", messages=(Message(role=Role.USER, content=(Text("hi"),)),))
    body = msgspec.json.encode(
        {"error": {"message": "bad field for arn:aws:iam::123456789012:role/x " + "y" * 9000}}
    )
    with pytest.raises(ProviderError) as failed:
        LlamaAdapter("https://llama.internal/v1", lambda: "key").parse(HttpResponse(400, {}, body), request)
    assert failed.value.kind is FailureKind.INVALID_REQUEST
    assert "123456789012" not in failed.value.message
    assert len(failed.value.message) < 700
