"""The registry guard: what it writes, what it refuses, and that CloudFormation always hears of it."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from lambdas.registry_guard import handler as guard

if TYPE_CHECKING:
    from types_boto3_dynamodb.service_resource import Table

TABLE = "ai_model_registry"


def item(version: str = "2026-11-01", **changes: object) -> dict[str, object]:
    return {
        "provider#model": "bedrock#claude-sonnet-4-5",
        "version": version,
        "lifecycle": "active",
        "capabilities": {"tools": "native", "vision": True},
        "price": {"currency": "EUR", "input_micro_per_million_tokens": 2_800_000},
        **changes,
    }


def event(*items: object, request: str = "Create", **changes: object) -> dict[str, object]:
    return {
        "RequestType": request,
        "ResponseURL": "http://127.0.0.1:9/response",
        "StackId": "arn:aws:cloudformation:eu-central-1:123456789012:stack/registry/1",
        "RequestId": "request-1",
        "LogicalResourceId": "Guard",
        "ResourceProperties": {"ServiceToken": "arn", "TableName": TABLE, "Items": json.dumps(items)},
        **changes,
    }


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[Table]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        yield boto3.resource("dynamodb").create_table(
            TableName=TABLE,
            KeySchema=[
                {"AttributeName": "provider#model", "KeyType": "HASH"},
                {"AttributeName": "version", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": "provider#model", "AttributeType": "S"},
                {"AttributeName": "version", "AttributeType": "S"},
            ],
            BillingMode="PAY_PER_REQUEST",
        )


def stored(table: Table) -> list[dict[str, object]]:
    return [dict(found) for found in table.scan()["Items"]]


def test_absent_versions_are_written_with_their_types(table: Table) -> None:
    assert guard.run(event(item(), item("2026-11-02"))) is None
    by_version = {found["version"]: found for found in stored(table)}
    assert by_version == {"2026-11-01": item(), "2026-11-02": item("2026-11-02")}


def test_the_same_event_again_changes_nothing(table: Table) -> None:
    assert [guard.run(event(item())) for _ in range(3)] == [None, None, None]
    assert stored(table) == [item()]


def test_a_changed_version_fails_naming_the_item_and_every_field_and_writes_nothing(table: Table) -> None:
    assert guard.run(event(item())) is None
    changed = item(lifecycle="retired", price={"currency": "EUR", "input_micro_per_million_tokens": 1})
    reason = guard.run(event(item("2026-11-02"), changed, request="Update"))
    assert reason is not None
    assert "bedrock#claude-sonnet-4-5 version 2026-11-01" in reason
    assert "lifecycle, price.input_micro_per_million_tokens" in reason
    assert "new version" in reason
    assert stored(table) == [item()]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        (item(capabilities={"tools": "native", "vision": 1}), "capabilities.vision"),
        (item(capabilities={"tools": "native"}), "capabilities.vision"),
        (item(family="claude"), "family"),
        (item(price="free"), "price"),
    ],
)
@pytest.mark.usefixtures("table")
def test_every_kind_of_difference_is_seen(changed: dict[str, object], field: str) -> None:
    assert guard.run(event(item())) is None
    assert f"differs in {field}. " in str(guard.run(event(changed)))


def test_a_version_written_by_somebody_else_meanwhile_is_judged_not_overwritten(table: Table) -> None:
    class Late:
        """A table whose first read misses what another writer stores right after it."""

        reads = 0

        def get_item(self, **arguments: object) -> object:
            self.reads += 1
            if self.reads == 1:
                table.put_item(Item=item(lifecycle="draft"))  # type: ignore[arg-type]
                return {}
            return table.get_item(**arguments)  # type: ignore[arg-type]

        def put_item(self, **arguments: object) -> object:
            return table.put_item(**arguments)  # type: ignore[arg-type]

    reason = guard.run(event(item()), open_table=lambda _: Late())  # type: ignore[arg-type,return-value]
    assert "lifecycle" in str(reason)
    assert stored(table) == [item(lifecycle="draft")]


def test_deleting_the_resource_leaves_the_data_alone(table: Table) -> None:
    assert guard.run(event(item())) is None
    assert guard.run(event(request="Delete", ResourceProperties={})) is None
    assert stored(table) == [item()]


@pytest.mark.parametrize(
    ("properties", "named"),
    [
        (None, "ResourceProperties"),
        ({"Items": "[]"}, "TableName"),
        ({"TableName": TABLE}, "Items is NoneType"),
        ({"TableName": TABLE, "Items": "[{"}, "not valid JSON"),
        ({"TableName": TABLE, "Items": "{}"}, "JSON dict"),
        ({"TableName": TABLE, "Items": "[1]"}, "Item 0"),
        ({"TableName": TABLE, "Items": json.dumps([{"version": "1"}])}, "provider#model"),
        ({"TableName": TABLE, "Items": json.dumps([item(), item()])}, "declared twice"),
    ],
)
def test_a_malformed_declaration_is_refused_by_name(properties: object, named: str) -> None:
    reason = guard.run(event(ResourceProperties=properties))
    assert named in str(reason)


def test_an_unreachable_table_is_a_reason_not_a_crash(table: Table) -> None:
    table.delete()
    assert "ResourceNotFoundException" in str(guard.run(event(item())))


@pytest.mark.parametrize("character", ["x", '"', "é"])
def test_the_response_keeps_the_physical_id_and_fits_cloudformations_limit(character: str) -> None:
    body = guard.response_body(event(PhysicalResourceId="kept"), character * 10_000)
    assert len(body) <= 4096
    answer = json.loads(body)
    assert (answer["Status"], answer["PhysicalResourceId"], answer["RequestId"]) == (
        "FAILED",
        "kept",
        "request-1",
    )
    assert json.loads(guard.response_body(event(), None))["Status"] == "SUCCESS"


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


def served(failures: int, outcome: dict[str, object]) -> ResponseServer:
    with ResponseServer(failures) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            guard.handler({**outcome, "ResponseURL": server.url}, None)
        finally:
            server.shutdown()
            thread.join()
    return server


def test_a_failing_response_url_is_tried_again(table: Table) -> None:
    server = served(2, event(item()))
    assert [body["Status"] for _, body in server.received] == ["SUCCESS"] * 3
    assert server.received[0][0] == ""
    assert stored(table) == [item()]


def test_a_response_url_that_never_answers_raises_so_that_the_event_runs_again(table: Table) -> None:
    with pytest.raises(OSError, match="500"):
        served(99, event(item()))
    assert stored(table) == [item()]


def test_a_refusal_reaches_cloudformation_as_a_failure() -> None:
    server = served(0, event(ResourceProperties={}))
    assert server.received[0][1]["Status"] == "FAILED"
    assert "TableName" in str(server.received[0][1]["Reason"])
