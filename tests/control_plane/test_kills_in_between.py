"""A kill is never lost, at whichever call of another operation it comes in between."""

from __future__ import annotations

import itertools

import pytest

from tests.control_plane.driver import Operation, Run, problem_of
from tests.control_plane.gate import Trouble

KILL = "kill-switch.bedrock"
LONGEST = 16
"""More calls than any of the operations makes."""

RECONCILE = Operation("reconcile", {})
ALARM = Operation("alarm", {"name": "alarm-of-bedrock", "age_ms": 0})
WRITE = Operation("write", {"flag": KILL, "text": "on", "who": "boris"})
REVIVED_IN_THE_TABLE_ALONE = (
    Operation("put_parameter", {"flag": KILL, "text": "on"}),
    RECONCILE,
    Operation("lose_store", {"store": "parameters", "caller": "anna"}),
    Operation("write", {"flag": KILL, "text": "off", "who": "anna"}),
)
REVIVED_AND_WRITTEN_OVER = (
    Operation("put_parameter", {"flag": KILL, "text": "on"}),
    RECONCILE,
    Operation("put_parameter", {"flag": KILL, "text": "off"}),
    Operation("put_parameter", {"flag": KILL, "text": "nonsense"}),
)


@pytest.mark.parametrize("before", [REVIVED_IN_THE_TABLE_ALONE, REVIVED_AND_WRITTEN_OVER])
@pytest.mark.parametrize("lost", [(), ("kill-switch", "boris")])
def test_a_kill_during_another_operation_holds(before: tuple[Operation, ...], lost: tuple[str, ...]) -> None:
    losses = [Operation("lose_store", {"store": "parameters", "caller": each}) for each in lost]
    for first, kill in itertools.permutations((RECONCILE, ALARM, WRITE), 2):
        for number in range(1, LONGEST):
            last = Operation(first.name, first.arguments, Trouble(number, "meanwhile"), kill)
            assert problem_of([*before, *losses, last], Run(rotates=False)) is None, (
                f"{kill.name} at call {number} of {first}"
            )
