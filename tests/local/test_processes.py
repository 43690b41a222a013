"""Processes outlive the command that started them, and only ours are ever stopped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from local.processes import ProcessFolder, has_ended

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('up', flush=True); time.sleep(60)",
]
PARENT = [
    sys.executable,
    "-c",
    "import subprocess, sys, time;"
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
    "print('up', flush=True); time.sleep(60)",
]


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[ProcessFolder]:
    folder = ProcessFolder(tmp_path / "records", tmp_path / "logs")
    yield folder
    for name in folder.names():
        folder.stop(name, grace_s=0.1)


def start(processes: ProcessFolder, command: list[str], version: str = "") -> psutil.Process:
    process = processes.start("server", command, dict(os.environ), Path.cwd(), version)
    while "up" not in processes.log_tail("server"):
        time.sleep(0.01)
    return process


def test_a_started_process_is_found_by_its_name(processes: ProcessFolder) -> None:
    process = start(processes, SLEEPER)
    assert processes.running("server") == process


def test_a_process_is_stopped_with_its_children(processes: ProcessFolder) -> None:
    process = start(processes, PARENT)
    family = [process, *process.children(recursive=True)]
    assert len(family) == 2
    assert processes.stop("server", grace_s=5)
    assert all(has_ended(member) for member in family)
    assert processes.running("server") is None


def test_a_process_that_ignores_sigterm_is_killed_after_its_grace(processes: ProcessFolder) -> None:
    process = start(processes, STUBBORN)
    processes.stop("server", grace_s=0.2)
    assert has_ended(process)


def test_a_recycled_pid_is_neither_taken_for_ours_nor_stopped(processes: ProcessFolder) -> None:
    process = start(processes, SLEEPER)
    record = processes.records / "server.json"
    recorded = json.loads(record.read_text())
    record.write_text(json.dumps(recorded | {"started": recorded["started"] - 1}))
    try:
        assert processes.running("server") is None
        assert not processes.stop("server", grace_s=1)
        assert process.is_running()
    finally:
        process.kill()
        process.wait()


def test_a_record_cut_short_counts_as_not_running(processes: ProcessFolder) -> None:
    start(processes, SLEEPER)
    record = processes.records / "server.json"
    whole = record.read_text()
    record.write_text(whole[: len(whole) // 2])
    assert processes.running("server") is None
    record.write_text(whole)


def test_a_process_of_another_version_is_not_the_one_wanted(processes: ProcessFolder) -> None:
    process = start(processes, SLEEPER, version="old")
    assert processes.running("server", "new") is None
    assert processes.running("server", "old") == process


def test_a_process_that_has_ended_is_not_running(processes: ProcessFolder) -> None:
    process = start(processes, SLEEPER)
    process.kill()
    subprocess.run(["true"], check=True)
    psutil.wait_procs([process], timeout=5)
    assert processes.running("server") is None


def test_a_process_started_but_never_recorded_is_found_and_stopped(processes: ProcessFolder) -> None:
    process = start(processes, SLEEPER)
    (processes.records / "server.json").unlink()
    assert processes.unrecorded() == [process]
    assert processes.stop_unrecorded(grace_s=5) == 1
    assert has_ended(process)


def test_a_recorded_process_and_its_children_are_no_strays(processes: ProcessFolder) -> None:
    process = start(processes, PARENT)
    assert process.children()
    assert processes.unrecorded() == []


def test_what_another_folder_started_is_not_ours(processes: ProcessFolder, tmp_path: Path) -> None:
    start(processes, SLEEPER)
    assert ProcessFolder(tmp_path / "other", tmp_path / "logs").unrecorded() == []
