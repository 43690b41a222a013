"""The two servers the embedded cloud stands on: the AWS emulator and the simulated providers."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from pathlib import Path

import psutil

from local.aws import ISOLATED, Account, isolated, known_account, new_account
from local.loopback import answers
from local.ports import LOOPBACK, Ports, require_free
from local.processes import has_ended
from local.progress import StepError
from local.state import PROJECT, StateDirectory

EMULATOR, PROVIDERS = "emulator", "providers"
_EMULATOR_PYTHON_VARIABLE = "LOCAL_EMULATOR_PYTHON"
_START_S = 20.0
_POLL_S = 0.05
_BUSY_S = 10.0
"""How long a running server may be too busy to answer before it is replaced, and what it holds is lost."""


def emulator_ready_url(ports: Ports) -> str:
    """Answers once the emulator serves."""
    return f"http://{LOOPBACK}:{ports.emulator}/_ministack/ready"


def providers_ready_url(ports: Ports) -> str:
    """Answers once the simulated providers serve."""
    return f"http://{LOOPBACK}:{ports.providers}/_control"


def emulator_identity(state: StateDirectory) -> str | None:
    """Names one run of the emulator, whose state lives and dies with its process."""
    process = state.processes.running(EMULATOR)
    return None if process is None else f"{process.pid}@{process.create_time()}"


def ensure_emulator(state: StateDirectory, ports: Ports, account_id: str, region: str) -> Account:
    """The running emulator of this state directory, started if need be.

    Raises:
        PortError: another program holds the port.
        StepError: it does not start.
    """
    account = known_account(state)
    version = _version(PROJECT / "local/emulator", f"{account_id} {region} {ports.emulator}")
    running = state.processes.running(EMULATOR, version) is not None
    if account and running and _comes_to_answer(emulator_ready_url(ports)):
        return account
    state.processes.stop(EMULATOR, grace_s=5)
    require_free(EMULATOR, ports.emulator)
    account = new_account(state, account_id, region, ports.emulator)
    process = state.processes.start(
        EMULATOR,
        [
            str(emulator_python()),
            "-m",
            "local.emulator",
            f"--port={ports.emulator}",
            f"--account={account_id}",
            f"--region={region}",
            f"--state-directory={state.root}",
        ],
        isolated(os.environ) | account.environment() | {"PYTHONUNBUFFERED": "1"},
        PROJECT,
        version,
    )
    _wait(state, EMULATOR, process, emulator_ready_url(ports))
    return account


def ensure_providers(state: StateDirectory, ports: Ports) -> None:
    """The running simulated providers, started if need be.

    Raises:
        PortError: another program holds the port.
        StepError: they do not start.
    """
    version = _version(PROJECT / "local/providers", f"{ports.providers} {ports.emulator}")
    running = state.processes.running(PROVIDERS, version) is not None
    if running and _comes_to_answer(providers_ready_url(ports)):
        return
    state.processes.stop(PROVIDERS, grace_s=5)
    require_free(PROVIDERS, ports.providers)
    process = state.processes.start(
        PROVIDERS,
        [
            *(sys.executable, "-m", "local.providers"),
            f"--port={ports.providers}",
            f"--bedrock-authority=http://{LOOPBACK}:{ports.emulator}",
        ],
        isolated(os.environ) | ISOLATED | {"PYTHONUNBUFFERED": "1"},
        PROJECT,
        version,
    )
    _wait(state, PROVIDERS, process, providers_ready_url(ports))


def _version(package: Path, settings: str) -> str:
    """Changes with a server's code and settings: what runs is replaced when it is not of this version."""
    digest = hashlib.sha256(settings.encode())
    for file in sorted(package.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def emulator_python() -> Path:
    """The interpreter of the emulator's own environment, beside the project unless named."""
    python = Path(os.environ.get(_EMULATOR_PYTHON_VARIABLE) or PROJECT / ".venv-emulator/bin/python")
    if not python.exists():
        raise StepError(f"the emulator's environment is missing: {python}", "run `make setup`")
    return python


def _comes_to_answer(url: str) -> bool:
    """Whether a running server answers, at once or when it has done what keeps it busy."""
    deadline = time.monotonic() + _BUSY_S
    while not answers(url):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def _wait(state: StateDirectory, name: str, process: psutil.Process, url: str) -> None:
    deadline = time.monotonic() + _START_S
    while not answers(url):
        if has_ended(process):
            _give_up(state, name, "ended while starting")
        if time.monotonic() > deadline:
            _give_up(state, name, f"did not answer {url} within {_START_S:.0f} s")
        time.sleep(_POLL_S)


def _give_up(state: StateDirectory, name: str, what: str) -> None:
    raise StepError(
        f"the {name} {what}",
        f"read {state.processes.log(name)}, then `make down up`",
        state.processes.log_tail(name),
    )
