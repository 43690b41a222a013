"""One container as a process: its environment, its command line, its health."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.aws import ISOLATED
from local.image_store import Image
from local.task_definition import HealthCheck, Task, TaskError

_PYTHON_HOME = Path(sys.executable).parent


@dataclass(frozen=True)
class Container:
    """A process ready to be started."""

    command: tuple[str, ...]
    directory: Path
    environment: Mapping[str, str]

    def start(self, log: Path) -> subprocess.Popen[bytes]:
        """Start the process in a session of its own, its output going to `log`."""
        with log.open("ab") as output:
            return subprocess.Popen(  # noqa: S603  (the deployed task definition's command)
                self.command,
                cwd=self.directory,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def is_healthy(self, check: HealthCheck) -> bool:
        """Run the health check once, as Docker does inside the container."""
        kind, *words = check.command
        command = ["/bin/sh", "-c", *words] if kind == "CMD-SHELL" else _on_this_machine(tuple(words))
        try:
            finished = subprocess.run(  # noqa: S603  (the deployed task definition's command)
                command,
                cwd=self.directory,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=check.timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False
        return finished.returncode == 0


def assemble(task: Task, image: Image, region: str, given: Mapping[str, str]) -> Container:
    """The process of a task: the image's start, overruled by the definition, completed by `given`.

    `given` holds secrets, overrides and the credentials endpoint.

    Raises:
        TaskError: neither image nor definition says what to run.
    """
    entry_point = task.entry_point or image.entry_point
    command = task.command or (() if task.entry_point else image.command)
    words = (*entry_point, *command)
    if not words:
        raise TaskError(
            f"Neither {task.definition_arn} nor its image {task.image} says what to run: "
            "give the Dockerfile an ENTRYPOINT or CMD."
        )
    directory = image.on_this_machine(task.working_directory or image.working_directory)
    base = {
        "PATH": f"{_PYTHON_HOME}:/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
    }
    environment = ISOLATED | base | _image_environment(image) | dict(task.environment) | dict(given)
    return Container(_on_this_machine(words), directory, environment)


def _image_environment(image: Image) -> dict[str, str]:
    """The image's variables, paths to its files translated; its search path is this machine's.

    A variable that names a file which only a RUN made, and this machine lacks, is left out.
    """
    translated = {
        name: ":".join(_translated(image, part) for part in value.split(":"))
        for name, value in image.environment.items()
        if name != "PATH"
    }
    return {name: value for name, value in translated.items() if not _leads_nowhere(value)}


def _translated(image: Image, part: str) -> str:
    file = image.on_this_machine(part)
    return str(file) if part.startswith("/") and file.exists() else part


def _leads_nowhere(value: str) -> bool:
    return value.startswith("/") and not any(Path(part).exists() for part in value.split(":"))


def _on_this_machine(words: tuple[str, ...]) -> tuple[str, ...]:
    """A program of the image's own environment is the project environment's of the same name."""
    program = _PYTHON_HOME / Path(words[0]).name
    return (str(program), *words[1:]) if program.exists() else words
