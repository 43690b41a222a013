"""`python -m local.task_runner`: runs an ECS service's task the way ECS would.

Reads the deployed task definition, starts its container as a process from the image that was
deployed, under the task role, watches its health check, and replaces a task that ends or turns
unhealthy, at growing intervals. SIGTERM ends the task within its stop timeout, then the runner.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from local.aws import Account, known_account
from local.container import Container, assemble
from local.container_overrides import RealProviders, container_overrides, database_overrides
from local.container_secrets import resolve
from local.image_store import ImageStore
from local.ports import Ports
from local.state import StateDirectory, write_private
from local.task_credentials import CredentialsEndpoint, assume_role
from local.task_definition import HealthCheck, Task, read_task

TASK, RUNNER = "gateway", "task-runner"
_LOG = logging.getLogger("task-runner")
_FIRST_BACKOFF_S, _LONGEST_BACKOFF_S = 0.5, 30.0
_STEADY_S = 60.0
_START_POLL_S = 0.1
_START_LIMIT_S = 30.0
"""How long a task may take to its first successful health check before it is replaced."""


@dataclass(frozen=True)
class TaskState:
    """What the runner runs, for `make up` and `make status`. `status`: STARTING, HEALTHY, STOPPED."""

    definition_arn: str
    image_id: str
    status: str = "STARTING"
    pid: int | None = None
    restarts: int = 0
    reason: str = ""


class Runner:
    """Keeps one task running until told to stop."""

    def __init__(self, state: StateDirectory, task: Task, container: Container, image_id: str) -> None:
        self._state = state
        self._task = task
        self._container = container
        self._stop = threading.Event()
        self._shown = TaskState(task.definition_arn, image_id)

    def request_stop(self) -> None:
        """End the task and the runner; safe in a signal handler."""
        self._stop.set()

    def run(self) -> None:
        """Run tasks until `request_stop`."""
        backoff_s = _FIRST_BACKOFF_S
        while not self._stop.is_set():
            started = time.monotonic()
            reason = self._run_one()
            if self._stop.is_set():
                break
            if time.monotonic() - started > _STEADY_S:
                backoff_s = _FIRST_BACKOFF_S
            _LOG.warning("task ended: %s; next one in %.1f s", reason, backoff_s)
            self._show(status="STOPPED", pid=None, reason=reason, restarts=self._shown.restarts + 1)
            self._stop.wait(backoff_s)
            backoff_s = min(2 * backoff_s, _LONGEST_BACKOFF_S)
        self._show(status="STOPPED", pid=None, reason="stopped on request")

    def _run_one(self) -> str:
        """Run one task to its end and say why it ended."""
        process = self._container.start(self._state.processes.log(TASK))
        self._state.processes.record(TASK, process.pid)
        self._show(status="STARTING", pid=process.pid)
        try:
            return self._watch(process)
        finally:
            self._end(process)

    def _watch(self, process: subprocess.Popen[bytes]) -> str:
        check = self._task.health_check
        if check is None:
            self._show(status="HEALTHY")
        elif not self._becomes_healthy(process, check):
            return self._ended(process) or f"not healthy within {_START_LIMIT_S:.0f} s"
        failures = 0
        while not self._stop.is_set():
            ended = self._ended(process, wait_s=check.interval_s if check else None)
            if ended:
                return ended
            if check and not self._stop.is_set():
                failures = 0 if self._container.is_healthy(check) else failures + 1
                if failures >= check.retries:
                    return f"{failures} health checks failed in a row"
        return "stopped on request"

    def _becomes_healthy(self, process: subprocess.Popen[bytes], check: HealthCheck) -> bool:
        """Until the first success the check runs often: nobody waits a whole interval here."""
        deadline = time.monotonic() + max(_START_LIMIT_S, check.start_period_s)
        while time.monotonic() < deadline and not self._stop.is_set() and process.poll() is None:
            if self._container.is_healthy(check):
                _LOG.info("task is healthy (pid %d)", process.pid)
                self._show(status="HEALTHY")
                return True
            self._stop.wait(_START_POLL_S)
        return False

    def _ended(self, process: subprocess.Popen[bytes], wait_s: float | None = 0.0) -> str | None:
        """Wait for the process to end, at most `wait_s`, and no longer than until a stop is requested."""
        deadline = None if wait_s is None else time.monotonic() + wait_s
        while process.poll() is None:
            if self._stop.is_set() or (deadline is not None and time.monotonic() >= deadline):
                return None
            self._stop.wait(_START_POLL_S)
        return f"the process ended with status {process.returncode}"

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        try:
            process.wait(self._task.stop_timeout_s)
        except subprocess.TimeoutExpired:
            _LOG.warning("task did not stop within %.0f s: killed", self._task.stop_timeout_s)
            process.kill()
            process.wait()

    def _show(self, **changes: object) -> None:
        self._shown = replace(self._shown, **changes)  # type: ignore[arg-type]
        write_private(self._state.task_file, asdict(self._shown))


def prepare(
    state: StateDirectory,
    account: Account,
    ports: Ports,
    task: Task,
    endpoint: CredentialsEndpoint,
    real: RealProviders,
) -> tuple[Container, str]:
    """The container of a task and the id of the image it runs from."""
    image = ImageStore(state.images).image(task.image)
    overrides = container_overrides(task.environment, ports, account.region, real)
    overrides |= database_overrides(task.environment, state.database_roots)
    given = resolve(account, task.secrets) | overrides | endpoint.environment()
    return assemble(task, image, account.region, given), image.id


def main(words: list[str]) -> int:
    """Run the service named on the command line until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m local.task_runner", description=__doc__)
    parser.add_argument("--state-directory", type=Path, required=True)
    parser.add_argument("--cluster", required=True)
    parser.add_argument("--service", required=True)
    arguments = parser.parse_args(words)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    state = StateDirectory(arguments.state_directory)
    account = known_account(state)
    if account is None:
        _LOG.error("no emulator was started in %s: run `make up`", state.root)
        return 1
    real = RealProviders.found_in(os.environ)
    ports = Ports.from_environment()
    task = read_task(account, arguments.cluster, arguments.service)
    with CredentialsEndpoint(task.role_arn, lambda: assume_role(account, task.role_arn)) as endpoint:
        container, image_id = prepare(state, account, ports, task, endpoint, real)
        runner = Runner(state, task, container, image_id)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: runner.request_stop())
        runner.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
