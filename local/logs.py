"""Shows the logs of every process side by side, and follows them."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TextIO

from local.state import StateDirectory

_LINES = 20
_POLL_S = 0.25


def show(state: StateDirectory, *, follow: bool, output: TextIO = sys.stdout) -> None:
    """Print each log's last lines; with `follow` what is added, until interrupted."""
    files = sorted(state.processes.logs.glob("*.log"))
    positions = {}
    for file in files:
        text = file.read_text(encoding="utf-8", errors="replace")
        positions[file] = file.stat().st_size
        _write(output, file, text.splitlines()[-_LINES:])
    while follow:
        time.sleep(_POLL_S)
        for file in sorted(state.processes.logs.glob("*.log")):
            positions[file] = _write_added(output, file, positions.get(file, 0))


def _write_added(output: TextIO, file: Path, position: int) -> int:
    """Write the whole lines added since `position` (bytes) and return the new position."""
    size = file.stat().st_size
    if size < position:
        position = 0  # the file was begun anew
    with file.open("rb") as log:
        log.seek(position)
        added = log.read(size - position)
    whole = added[: added.rfind(b"\n") + 1]
    _write(output, file, whole.decode("utf-8", errors="replace").splitlines())
    return position + len(whole)


def _write(output: TextIO, file: Path, lines: list[str]) -> None:
    for line in lines:
        output.write(f"{file.stem:<12} {line}\n")
    output.flush()
