"""The one folder everything of an embedded cloud lies in, and what is written there by hand."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.processes import ProcessFolder

DIRECTORY_VARIABLE = "LOCAL_STATE_DIRECTORY"
PROJECT = Path(__file__).parent.parent


class BusyError(Exception):
    """Another command changes the same embedded cloud right now."""


@dataclass(frozen=True)
class StateDirectory:
    """Paths below the state directory."""

    root: Path

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> StateDirectory:
        """`.local` of the project, or what `LOCAL_STATE_DIRECTORY` names."""
        return cls(Path(environment.get(DIRECTORY_VARIABLE) or PROJECT / ".local").resolve())

    @property
    def processes(self) -> ProcessFolder:
        """Records and logs of the detached processes."""
        return ProcessFolder(self.root / "processes", self.root / "logs")

    @property
    def assembly(self) -> Path:
        """What `cdk synth` wrote."""
        return self.root / "cdk.out"

    @property
    def database_roots(self) -> Path:
        """The authority of the flag database's certificate, where a database is deployed."""
        return self.root / "emulator" / "database_roots.pem"

    @property
    def images(self) -> Path:
        """The image store's folder."""
        return self.root / "images"

    @property
    def connection_file(self) -> Path:
        """How to call the gateway: url and keys."""
        return self.root / "gateway.json"

    @property
    def administrator_file(self) -> Path:
        """The emulated account's administrator credentials."""
        return self.root / "administrator.json"

    @property
    def deployed_file(self) -> Path:
        """What is deployed where: assembly digest and emulator."""
        return self.root / "deployed.json"

    @property
    def ports_file(self) -> Path:
        """The ports of the cloud that was started last."""
        return self.root / "ports.json"

    @property
    def task_file(self) -> Path:
        """What the task runner runs."""
        return self.root / "task.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for one changing command at a time.

        The lock goes with the process that holds it, however that ends.

        Raises:
            BusyError: another command holds it.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BusyError(
                    f"Another `make up` or `make down` works on {self.root}: wait for it to end."
                ) from None
            yield


def write_private(file: Path, content: Mapping[str, object]) -> None:
    """Write JSON that only this user may read, in one step."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(file.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        json.dump(content, stream, indent=2)
        stream.write("\n")
    draft.replace(file)


def read_json(file: Path) -> dict[str, Any]:
    """The file's object; empty where it is missing or was cut short."""
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
