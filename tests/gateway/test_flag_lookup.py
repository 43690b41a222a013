"""Flags cost the request path nothing to speak of: look-ups in memory, in CPU time."""

from __future__ import annotations

from tests.benchmarks.flag_lookup import measure_us

AT_MOST_US = 10.0


def test_looking_a_flag_up_takes_at_most_ten_microseconds() -> None:
    measured = measure_us(rounds=5, look_ups=2_000)
    assert set(measured) == {"flags.get", "kill_switch_on", "rollout_stage"}
    assert {name: us for name, us in measured.items() if us > AT_MOST_US} == {}
