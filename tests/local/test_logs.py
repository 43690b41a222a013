"""The logs of all processes are shown side by side, each line with its origin."""

from __future__ import annotations

import io
import time

import pytest

from local import logs
from local.state import StateDirectory


class Stopped(Exception):  # noqa: N818
    """Ends following, as Ctrl-C would."""


def test_the_last_lines_of_every_log_are_shown_with_their_origin(state: StateDirectory) -> None:
    state.processes.log("emulator").write_text("one\ntwo\n")
    state.processes.log("gateway").write_text("\n".join(str(number) for number in range(100)))
    output = io.StringIO()
    logs.show(state, follow=False, output=output)
    lines = output.getvalue().splitlines()
    assert lines[:2] == ["emulator     one", "emulator     two"]
    assert lines[-1] == "gateway      99"
    assert len(lines) == 22


def test_what_is_added_is_followed_line_by_line(
    state: StateDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = state.processes.log("gateway")
    log.write_text("before\n")
    additions = iter(["first\nhal", "f\n", "", ""])
    output = io.StringIO()

    def add_instead_of_waiting(_seconds: float) -> None:
        addition = next(additions, None)
        if addition is None:
            raise Stopped
        with log.open("a") as stream:
            stream.write(addition)

    monkeypatch.setattr(time, "sleep", add_instead_of_waiting)
    with pytest.raises(Stopped):
        logs.show(state, follow=True, output=output)
    assert output.getvalue().splitlines() == [
        "gateway      before",
        "gateway      first",
        "gateway      half",
    ]
