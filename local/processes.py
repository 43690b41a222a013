"""Detached processes that outlive the command that started them.

A record on disk names each by pid *and* start time: a pid the system has given to another program
since is never taken for ours, let alone stopped. A mark in the environment finds those that were
started by a command that was killed before it could record them.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

_POLL_S = 0.02
MARK = "EMBEDDED_CLOUD_PROCESSES"
"""Variable every process gets that is started here; names the folder of its records."""


@dataclass(frozen=True)
class ProcessFolder:
    """Where records and logs of the processes lie."""

    records: Path
    logs: Path

    def start(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        directory: Path,
        version: str = "",
    ) -> psutil.Process:
        """Start a process in a session of its own, its output going to a fresh log.

        `version` tells what was started from what would be started now.
        """
        with self.log(name).open("wb") as log:
            child = subprocess.Popen(  # noqa: S603  (the command is the caller's own)
                list(command),
                env={**environment, MARK: str(self.records)},
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        child.returncode = 0  # psutil waits for it; this object need not watch over it
        return self.record(name, child.pid, version)

    def record(self, name: str, pid: int, version: str = "") -> psutil.Process:
        """Remember a process under a name."""
        process = psutil.Process(pid)
        self.records.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"pid": pid, "started": process.create_time(), "version": version})
        self._file(name).write_text(text, encoding="utf-8")
        return process

    def running(self, name: str, version: str | None = None) -> psutil.Process | None:
        """The recorded process if it still is that process and runs, and is of `version` where given."""
        recorded = self._recorded(name)
        try:
            process = psutil.Process(recorded["pid"])
            same = process.create_time() == recorded["started"]
        except (KeyError, psutil.Error):
            return None
        wanted = version is None or recorded.get("version") == version
        return process if same and wanted and not has_ended(process) else None

    def _recorded(self, name: str) -> dict[str, Any]:
        """What is on record; nothing where there is none, or one that was cut short."""
        try:
            return dict(json.loads(self._file(name).read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}

    def names(self) -> list[str]:
        """Names on record, running or not."""
        return sorted(file.stem for file in self.records.glob("*.json"))

    def stop(self, name: str, grace_s: float) -> bool:
        """Terminate the process and its descendants, kill what is left after `grace_s`.

        Returns whether there was something to stop.
        """
        process = self.running(name)
        if process is not None:
            _stop_tree(process, grace_s)
        self._file(name).unlink(missing_ok=True)
        return process is not None

    def unrecorded(self) -> list[psutil.Process]:
        """Processes started here that neither are on record nor descend from one that is."""
        recorded = {process.pid for name in self.names() if (process := self.running(name))}
        return [process for process in psutil.process_iter() if self._is_stray(process, recorded)]

    def stop_unrecorded(self, grace_s: float) -> int:
        """Stop them; returns how many there were."""
        strays = self.unrecorded()
        for process in strays:
            _stop_tree(process, grace_s)
        return len(strays)

    def _is_stray(self, process: psutil.Process, recorded: Collection[int]) -> bool:
        try:
            if process.environ().get(MARK) != str(self.records) or has_ended(process):
                return False
            return not {process.pid, *(parent.pid for parent in process.parents())} & set(recorded)
        except psutil.Error:
            return False  # another user's, or gone

    def log(self, name: str) -> Path:
        """The file a process writes to."""
        self.logs.mkdir(parents=True, exist_ok=True)
        return self.logs / f"{name}.log"

    def log_tail(self, name: str, lines: int = 15) -> str:
        """The last lines of a process's log."""
        file = self.log(name)
        if not file.exists():
            return ""
        return "\n".join(file.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def _file(self, name: str) -> Path:
        return self.records / f"{name}.json"


def has_ended(process: psutil.Process) -> bool:
    """Whether a process is gone, or only waits for its parent to take note of that."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _stop_tree(process: psutil.Process, grace_s: float) -> None:
    """SIGTERM to the process alone, which ends its children in order; then SIGKILL to all left."""
    try:
        family = [process, *process.children(recursive=True)]
        process.terminate()
    except psutil.NoSuchProcess:
        return
    _wait([process], grace_s)
    for member in family:
        if not has_ended(member):
            with suppress(psutil.NoSuchProcess):
                member.kill()
    _wait(family, grace_s)


def _wait(processes: Sequence[psutil.Process], limit_s: float) -> None:
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline and not all(has_ended(process) for process in processes):
        time.sleep(_POLL_S)
