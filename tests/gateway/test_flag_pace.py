"""Tiers are read in time for a kill switch to be in force within five seconds, and spared while ill."""

from __future__ import annotations

import pytest

from gateway.control.aws import FLAG_CONNECT_S, FLAG_READ_S
from gateway.control.flag_pace import FAILURES_TO_OPEN, Pace, TierCircuit
from gateway.control.flag_reader import PACES, TierReader
from tests.gateway.flag_world import ScriptedTier

KILL_SWITCH_S = 5.0
ONE_ANSWER_S = 0.5
"""More than enough to connect to a tier that is well, and to be answered."""


def longest(low: float, high: float) -> float:
    """The jitter that waits longest."""
    return max(low, high)


def circuit_of(pace: Pace, failures: int) -> TierCircuit:
    circuit = TierCircuit(pace, jitter=longest)
    for _ in range(failures):
        circuit.failed()
    return circuit


@pytest.mark.parametrize("tier", ["parameter", "table"])
@pytest.mark.parametrize("failures", range(10))
@pytest.mark.parametrize("how", ["refused", "black hole"])
def test_a_tier_that_is_back_is_read_in_time_for_a_kill_switch(tier: str, failures: int, how: str) -> None:
    """Also where it comes back right after a read of it has begun, which then hangs to its end."""
    hanging_s = FLAG_CONNECT_S + FLAG_READ_S if how == "black hole" else 0.001
    pause_s = circuit_of(PACES[tier], failures).pause_s(hanging_s)
    assert hanging_s + pause_s + ONE_ANSWER_S <= KILL_SWITCH_S


def test_a_tier_that_is_ill_is_asked_less_often_until_it_answers_once() -> None:
    circuit = circuit_of(PACES["parameter"], FAILURES_TO_OPEN - 1)
    assert not circuit.open
    often_s = circuit.pause_s(0.0)
    circuit.failed()
    assert circuit.open
    assert circuit.pause_s(0.0) >= 2 * often_s
    circuit.succeeded()
    assert not circuit.open
    assert circuit.pause_s(0.0) == often_s


def test_replicas_do_not_probe_at_the_same_moment() -> None:
    circuit = TierCircuit(PACES["table"])
    for _ in range(FAILURES_TO_OPEN):
        circuit.failed()
    pauses_s = {circuit.pause_s(0.0) for _ in range(50)}
    assert len(pauses_s) == 50
    assert 0.8 * 4.5 <= min(pauses_s) <= max(pauses_s) <= 4.5


def test_a_tier_slower_than_its_interval_still_gets_a_rest() -> None:
    assert circuit_of(PACES["parameter"], 0).pause_s(60.0) > 0


def test_reading_on_demand_asks_a_tier_whose_circuit_is_open_and_closes_it() -> None:
    tier, after = ScriptedTier("table"), []
    reader = TierReader(tier, lambda: after.append(1), pace=PACES["table"])
    tier.lost = True
    for _ in range(FAILURES_TO_OPEN):
        reader.refresh()
    assert reader.circuit.open
    assert reader.age_s is None
    tier.lost = False
    reader.refresh()
    assert not reader.circuit.open
    assert reader.age_s is not None
    assert len(after) == FAILURES_TO_OPEN + 1
    assert reader.failures == FAILURES_TO_OPEN
