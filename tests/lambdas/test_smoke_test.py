"""The smoke test: what lets new tasks have callers, what keeps them away, and that ECS always hears of it."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from typing import TypeAlias

import boto3
import pytest
from moto import mock_aws

from lambdas.smoke_test import handler as smoke_test
from lambdas.smoke_test.handler import Settings

KEY = "client-key-of-the-tests"
EVENT = {"lifecycleStage": "POST_TEST_TRAFFIC_SHIFT", "serviceArn": "arn:aws:ecs:eu-central-1:1:service/c/s"}
DECIDED: dict[str, object] = {"decision": {"chosen": "bedrock#claude-sonnet-4-5"}}
Answer: TypeAlias = tuple[int, object]


class Tasks:
    """New tasks behind a test listener; a test changes what they answer."""

    def __init__(self) -> None:
        self.ready: Answer = (200, {"status": "ready"})
        self.to_strangers: Answer = (401, {"error": {"code": "invalid_api_key"}})
        self.to_callers: Answer = (200, DECIDED)
        self.asked: list[tuple[str, str, object]] = []

    def answer(self, method: str, path: str, key: str | None, body: object) -> Answer:
        self.asked.append((method, path, body))
        if path == "/health/ready":
            return self.ready
        return self.to_callers if key == f"Bearer {KEY}" else self.to_strangers


@pytest.fixture
def tasks() -> Tasks:
    return Tasks()


@pytest.fixture
def url(tasks: Tasks) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("content-length", 0))
            body = json.loads(self.rfile.read(length)) if length else None
            status, answer = tasks.answer(self.command, self.path, self.headers["authorization"], body)
            content = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def test(url: str) -> Callable[[], bool]:
    """One round of the smoke test, against a clock that runs only while it sleeps."""
    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    def once() -> bool:
        settings = Settings(url=url, client_keys_secret="secret", patience_s=10)
        return smoke_test.passes(settings, read_key=lambda _: KEY, now_s=lambda: clock[0], sleep=sleep)

    return once


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_tasks_that_answer_pass_at_once_and_nobody_is_called(test: Callable[[], bool], tasks: Tasks) -> None:
    assert test()
    assert [(method, path) for method, path, _ in tasks.asked] == [
        ("GET", "/health/ready"),
        ("POST", "/v1/route"),
        ("POST", "/v1/route"),
    ]
    for _, _, body in tasks.asked[1:]:
        assert isinstance(body, dict)
        assert body["dry_run"] is True


@pytest.mark.parametrize(
    ("what", "answer", "problem"),
    [
        ("ready", (503, {"waiting_for": ["registry"]}), "registry"),
        ("to_strangers", (200, DECIDED), "without a key answers 200"),
        ("to_callers", (500, {"error": {"message": "broken"}}), "broken"),
        ("to_callers", (200, {"decision": {"chosen": None}}), "chooses no model"),
        ("to_callers", (200, ["decision"]), "chooses no model"),
        ("to_callers", (200, "not json"), "chooses no model"),
    ],
)
def test_tasks_that_answer_wrongly_get_no_callers(
    test: Callable[[], bool],
    tasks: Tasks,
    capsys: pytest.CaptureFixture[str],
    what: str,
    answer: Answer,
    problem: str,
) -> None:
    setattr(tasks, what, answer)
    assert not test()
    lines = logged(capsys)
    assert len(lines) == 4, "it tries for as long as its patience, every three seconds"
    assert all(problem in str(line["problems"]) for line in lines)
    assert KEY not in str(lines)


def test_tasks_that_answer_after_a_while_pass(test: Callable[[], bool], tasks: Tasks) -> None:
    answers = iter([(503, {}), (404, {}), (200, {"status": "ready"})])
    original = tasks.answer

    def answer(method: str, path: str, key: str | None, body: object) -> Answer:
        return next(answers) if path == "/health/ready" else original(method, path, key, body)

    tasks.answer = answer  # type: ignore[method-assign]
    assert test()


def test_nobody_listening_is_a_problem_of_every_check(capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings(url="http://127.0.0.1:9", client_keys_secret="secret", patience_s=0)
    assert not smoke_test.passes(settings, read_key=lambda _: KEY)
    (line,) = logged(capsys)
    found = line["problems"]
    assert isinstance(found, list)
    assert len(found) == 3
    assert all("no answer" in problem for problem in found)


# ---- what ECS hears ----


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    for name, value in {
        "TEST_URL": url,
        "CLIENT_KEYS_SECRET": "client-keys",
        "PATIENCE_S": "0",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("environment")
def test_ecs_hears_yes_with_the_key_of_the_secret(capsys: pytest.CaptureFixture[str]) -> None:
    with mock_aws():
        boto3.client("secretsmanager").create_secret(
            Name="client-keys", SecretString=json.dumps({"current": KEY, "previous": ""})
        )
        assert smoke_test.handler(EVENT, None) == {"hookStatus": "SUCCEEDED"}
    (line,) = logged(capsys)
    assert line["hook_status"] == "SUCCEEDED"
    assert line["deployment"] == EVENT


@pytest.mark.usefixtures("environment")
def test_ecs_hears_no_where_tasks_are_wrong(tasks: Tasks) -> None:
    tasks.ready = (503, {})
    with mock_aws():
        boto3.client("secretsmanager").create_secret(
            Name="client-keys", SecretString=json.dumps({"current": KEY, "previous": ""})
        )
        assert smoke_test.handler(EVENT, None) == {"hookStatus": "FAILED"}


@pytest.mark.usefixtures("environment")
def test_ecs_hears_no_where_the_key_cannot_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    with mock_aws():
        assert smoke_test.handler(EVENT, None) == {"hookStatus": "FAILED"}
    assert "ResourceNotFoundException" in str(logged(capsys)[0]["error"])


def test_ecs_hears_no_where_the_function_is_told_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TEST_URL", raising=False)
    assert smoke_test.handler(EVENT, None) == {"hookStatus": "FAILED"}
    assert "TEST_URL" in str(logged(capsys)[0]["error"])
