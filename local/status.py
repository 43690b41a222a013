"""What runs, what is deployed, and what is accepted but does nothing."""

from __future__ import annotations

from collections.abc import Iterator

import psutil
from botocore.exceptions import BotoCoreError, ClientError

from local import servers
from local.aws import known_account
from local.emulator.inert import ACCEPTED, RECORDED
from local.loopback import answers
from local.outputs import DeployedStack, deployed_stacks
from local.ports import LOOPBACK, Ports
from local.state import StateDirectory, read_json
from local.task_runner import RUNNER, TASK


def report(state: StateDirectory, ports: Ports) -> Iterator[str]:
    """The lines of `make status`."""
    yield from _processes(state, ports)
    yield ""
    stacks = _stacks(state)
    yield from _stack_lines(stacks)
    yield ""
    yield from inert_lines(frozenset().union(*(stack.resource_types for stack in stacks.values())))


def _processes(state: StateDirectory, ports: Ports) -> Iterator[str]:
    task = read_json(state.task_file)
    health = {
        servers.EMULATOR: (ports.emulator, servers.emulator_ready_url(ports)),
        servers.PROVIDERS: (ports.providers, servers.providers_ready_url(ports)),
        TASK: (ports.gateway, f"http://{LOOPBACK}:{ports.gateway}/health/ready"),
        RUNNER: (None, None),
    }
    yield f"{'process':<14}{'pid':>8}{'port':>7}  health"
    for name, (port, url) in health.items():
        process = state.processes.running(name)
        words = _health(process, url)
        if name == RUNNER and process and task:
            words = f"task {task['status'].lower()}, {task['restarts']} restarts since it was deployed"
        yield f"{name:<14}{process.pid if process else '-':>8}{port or '-':>7}  {words}"


def _health(process: psutil.Process | None, url: str | None) -> str:
    if process is None:
        return "not running"
    return "healthy" if url is None or answers(url) else "running, does not answer"


def _stacks(state: StateDirectory) -> dict[str, DeployedStack]:
    account = known_account(state)
    if account is None or state.processes.running(servers.EMULATOR) is None:
        return {}
    try:
        return deployed_stacks(account)
    except (BotoCoreError, ClientError):
        return {}


def _stack_lines(stacks: dict[str, DeployedStack]) -> Iterator[str]:
    if not stacks:
        yield "No stack is deployed: `make up` deploys them."
        return
    yield f"{'stack':<18}{'status':<22}resource types"
    for stack in stacks.values():
        yield f"{stack.name:<18}{stack.status:<22}{len(stack.resource_types)}"


def inert_lines(deployed: frozenset[str]) -> Iterator[str]:
    """The deployed types that do less than on AWS, and what is missing of each."""
    missing = {name: accepted.missing for name, accepted in ACCEPTED.items()}
    for title, table in (
        ("Accepted, but does nothing:", missing),
        ("Recorded and described, but nothing acts on it:", RECORDED),
    ):
        lines = [f"  {name:<46}{text}" for name, text in sorted(table.items()) if name in deployed]
        if lines:
            yield title
            yield from lines
