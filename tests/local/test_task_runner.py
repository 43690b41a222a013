"""The task runner does with a process what ECS does with a task."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local.container import Container
from local.processes import has_ended
from local.state import StateDirectory, read_json
from local.task_definition import HealthCheck, Task
from local.task_runner import TASK, Runner

SERVER = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (pathlib.Path('drained').write_text(''), sys.exit(0)))
pathlib.Path('healthy').write_text('')
while True:
    time.sleep(0.05)
"""
STUBBORN_SERVER = """
import pathlib, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path('healthy').write_text('')
while True:
    time.sleep(0.05)
"""
CHECK = "import pathlib, sys; sys.exit(not pathlib.Path('healthy').exists())"
FAST_CHECK = HealthCheck(("CMD", sys.executable, "-c", CHECK), interval_s=0.1, timeout_s=5, retries=2)


@dataclass
class Running:
    """A runner at work in a thread of its own."""

    runner: Runner
    thread: threading.Thread
    state: StateDirectory
    directory: Path

    def wait_for(self, condition: Callable[[Mapping[str, Any]], bool]) -> Mapping[str, Any]:
        deadline = time.monotonic() + 20
        while not condition(shown := read_json(self.state.task_file)):
            assert time.monotonic() < deadline, shown
            time.sleep(0.02)
        return shown

    def stop(self) -> None:
        self.runner.request_stop()
        self.thread.join(20)
        assert not self.thread.is_alive()


@pytest.fixture
def run(state: StateDirectory, tmp_path: Path) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def start(script: str, check: HealthCheck | None = FAST_CHECK, stop_timeout_s: float = 5) -> Running:
        task = Task(
            definition_arn="arn:task:1",
            container="gateway",
            image="image",
            entry_point=(),
            command=(),
            working_directory=None,
            environment={},
            secrets={},
            role_arn="",
            stop_timeout_s=stop_timeout_s,
            health_check=check,
        )
        container = Container((sys.executable, "-c", script), tmp_path, dict(os.environ))
        runner = Runner(state, task, container, "image-id")
        thread = threading.Thread(target=runner.run)
        running = Running(runner, thread, state, tmp_path)
        started.append(running)
        thread.start()
        return running

    yield start
    for one in started:
        one.stop()


def test_a_task_is_healthy_once_its_health_check_succeeds(run: Callable[..., Running]) -> None:
    running = run(SERVER)
    shown = running.wait_for(lambda task: task.get("status") == "HEALTHY")
    assert (running.directory / "healthy").exists()
    assert shown["definition_arn"] == "arn:task:1"
    assert shown["image_id"] == "image-id"


def test_a_task_without_a_health_check_counts_as_healthy(run: Callable[..., Running]) -> None:
    run(SERVER, check=None).wait_for(lambda task: task.get("status") == "HEALTHY")


def test_a_killed_task_is_replaced(run: Callable[..., Running]) -> None:
    running = run(SERVER)
    first = running.wait_for(lambda task: task.get("status") == "HEALTHY")
    os.kill(first["pid"], signal.SIGKILL)
    second = running.wait_for(lambda task: task["restarts"] == 1 and task["status"] == "HEALTHY")
    assert second["pid"] != first["pid"]
    assert "status -9" in second["reason"]


def test_a_task_that_turns_unhealthy_is_replaced(run: Callable[..., Running]) -> None:
    running = run(SERVER)
    running.wait_for(lambda task: task.get("status") == "HEALTHY")
    (running.directory / "healthy").unlink()
    shown = running.wait_for(lambda task: task["restarts"] == 1 and task["status"] == "HEALTHY")
    assert shown["reason"] == "2 health checks failed in a row"


def test_a_task_that_ends_while_starting_is_reported_with_its_status(run: Callable[..., Running]) -> None:
    shown = run("import sys; sys.exit(3)").wait_for(lambda task: task.get("restarts", 0) >= 1)
    assert shown["reason"] == "the process ended with status 3"


def test_stopping_lets_the_task_drain(run: Callable[..., Running]) -> None:
    running = run(SERVER)
    running.wait_for(lambda task: task.get("status") == "HEALTHY")
    running.stop()
    assert (running.directory / "drained").exists()
    assert read_json(running.state.task_file)["status"] == "STOPPED"


def test_a_task_that_does_not_drain_is_killed_after_its_stop_timeout(run: Callable[..., Running]) -> None:
    running = run(STUBBORN_SERVER, stop_timeout_s=0.3)
    running.wait_for(lambda task: task.get("status") == "HEALTHY")
    process = running.state.processes.running(TASK)
    assert process is not None
    running.stop()
    assert has_ended(process)
