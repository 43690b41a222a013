"""Progress is one line a step, with its time and how it ended."""

from __future__ import annotations

import io

import pytest

from local.progress import Progress, StepError


def ticking() -> float:
    ticking.now += 1.5  # type: ignore[attr-defined]
    return ticking.now  # type: ignore[attr-defined,no-any-return]


@pytest.fixture
def output() -> io.StringIO:
    ticking.now = 0.0  # type: ignore[attr-defined]
    return io.StringIO()


def test_a_finished_step_is_told_with_its_time(output: io.StringIO) -> None:
    with Progress(output, ticking).step("Deploy") as step:
        step.note("8 stacks")
    assert output.getvalue() == "  ✓ Deploy: 8 stacks (1.5 s)\n"


def test_a_failed_step_is_marked_and_its_error_goes_on(output: io.StringIO) -> None:
    with pytest.raises(StepError, match="no room"), Progress(output, ticking).step("Deploy"):
        raise StepError("no room", "make some")
    assert output.getvalue() == "  ✗ Deploy (1.5 s)\n"
