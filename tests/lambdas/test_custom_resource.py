"""Custom resources: CloudFormation always hears how an event ended, once, in a form that it takes."""

from __future__ import annotations

import http.server
import json
import threading
from types import ModuleType

import pytest

from lambdas import custom_resource
from lambdas.custom_resource import CustomResource, RefusedError
from lambdas.operator_parameters import handler as operator_parameters
from lambdas.registry_guard import handler as registry_guard

RESOURCE = CustomResource(name="example", done="It is there.", failed="It could not be made")
EVENT = {"RequestType": "Create", "RequestId": "request-1", "LogicalResourceId": "Flags", "StackId": "stack"}


class ResponseServer(http.server.ThreadingHTTPServer):
    """Plays CloudFormation's response URL: fails the first `failures` requests."""

    def __init__(self, failures: int) -> None:
        super().__init__(("127.0.0.1", 0), ResponseHandler)
        self.failures = failures
        self.received: list[tuple[str | None, dict[str, object]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/response"


class ResponseHandler(http.server.BaseHTTPRequestHandler):
    server: ResponseServer

    def do_PUT(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.received.append((self.headers["content-type"], body))
        self.send_response(500 if len(self.server.received) <= self.server.failures else 200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        del format, arguments


def answered(failures: int) -> ResponseServer:
    with ResponseServer(failures) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            RESOURCE.answer({**EVENT, "ResponseURL": server.url}, None)
        finally:
            server.shutdown()
            thread.join()
    return server


def test_a_failing_response_url_is_tried_again_without_a_content_type() -> None:
    received = answered(2).received
    assert [(kind, body["Status"]) for kind, body in received] == [("", "SUCCESS")] * 3


def test_a_response_url_that_never_answers_raises_so_that_the_event_runs_again() -> None:
    with pytest.raises(OSError, match="500"):
        answered(99)


def test_an_answer_that_arrives_nowhere_raises_so_that_the_event_runs_again() -> None:
    with pytest.raises(OSError, match="refused"):
        custom_resource.send("http://127.0.0.1:9/answer", b"{}")


def test_every_failure_becomes_a_reason() -> None:
    def refused() -> None:
        raise RefusedError("Colour is 'blue'. Declare red.")

    def broken() -> None:
        raise KeyError("x")

    assert RESOURCE.failure(lambda: None) is None
    assert RESOURCE.failure(refused) == "Colour is 'blue'. Declare red."
    assert RESOURCE.failure(broken) == "It could not be made: KeyError: 'x'"


@pytest.mark.parametrize("character", ["x", '"', "é"])
def test_the_response_keeps_the_physical_id_and_fits_cloudformations_limit(character: str) -> None:
    body = RESOURCE.response_body({**EVENT, "PhysicalResourceId": "kept"}, character * 10_000)
    assert len(body) <= 4096
    answer = json.loads(body)
    assert (answer["Status"], answer["PhysicalResourceId"], answer["RequestId"], answer["StackId"]) == (
        "FAILED",
        "kept",
        "request-1",
        "stack",
    )
    fresh = json.loads(RESOURCE.response_body(EVENT, None))
    assert (fresh["Status"], fresh["Reason"], fresh["PhysicalResourceId"]) == (
        "SUCCESS",
        "It is there.",
        "example-Flags",
    )


@pytest.mark.parametrize(
    ("function", "name"),
    [(operator_parameters, "operator-parameters"), (registry_guard, "registry-guard")],
)
def test_each_function_answers_a_refusal_as_a_failure(function: ModuleType, name: str) -> None:
    sent: list[tuple[str, dict[str, object]]] = []
    event = {**EVENT, "ResourceProperties": {}, "ResponseURL": "http://127.0.0.1:9/answer"}
    function.handler(event, None, send=lambda url, body: sent.append((url, json.loads(body))))
    ((url, answer),) = sent
    assert url == "http://127.0.0.1:9/answer"
    # What a resource is called once it never loses: another id would be taken for a replacement.
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("FAILED", f"{name}-Flags")
    assert "Declare" in str(answer["Reason"])
