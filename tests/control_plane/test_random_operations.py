"""Whatever happens to rotation, registry and flags, in any order, what must hold does."""

from __future__ import annotations

import random

from tests.control_plane.driver import DRAWS, drawn
from tests.control_plane.gate import HOWS
from tests.control_plane.runs import STEPS, played

SHORT_RUNS = 100
FIRST_SEED = 1_000_000
"""Others than those of `make control-plane-runs`."""


def test_no_run_of_random_operations_breaks_what_must_hold() -> None:
    report, failures = played(range(FIRST_SEED, FIRST_SEED + SHORT_RUNS))
    assert not failures, "\n".join(map(str, failures))
    assert report.operations.keys() == DRAWS.keys(), "an operation was never drawn"
    assert {*HOWS, "not reached", "event lost"} <= report.happened.keys(), "a trouble never happened"


def test_a_seed_draws_the_same_operations_every_time() -> None:
    assert drawn(random.Random(5), STEPS) == drawn(random.Random(5), STEPS)  # noqa: S311
    assert drawn(random.Random(5), STEPS) != drawn(random.Random(6), STEPS)  # noqa: S311
