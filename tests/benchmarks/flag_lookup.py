"""CPU time of asking for a flag as requests do: `python -m tests.benchmarks.flag_lookup`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from gateway.control.flag_declarations import CANARY_SHARE
from gateway.control.registry import Provider
from tests.gateway.flag_world import FlagWorld


def measure_us(*, rounds: int, look_ups: int) -> dict[str, float]:
    """Look-up → CPU microseconds, the best of `rounds`; a replica's control plane is asked anew each time."""
    world = FlagWorld()
    world.put("parameter", CANARY_SHARE, "2.5")
    world.read()
    control = world.control
    asked: dict[str, Callable[[], object]] = {
        "flags.get": lambda: control.value.get(CANARY_SHARE),
        "kill_switch_on": lambda: control.value.kill_switch_on(Provider.LLAMA),
        "rollout_stage": lambda: control.value.rollout_stage,
    }
    return {name: min(_one_us(ask, look_ups) for _ in range(rounds)) for name, ask in asked.items()}


def _one_us(ask: Callable[[], object], look_ups: int) -> float:
    started_ns = time.thread_time_ns()
    for _ in range(look_ups):
        ask()
    return (time.thread_time_ns() - started_ns) / look_ups / 1000


def main() -> None:
    """Print a line for each look-up."""
    logging.disable()
    for name, microseconds in measure_us(rounds=20, look_ups=50_000).items():
        print(f"{name:16}{microseconds:8.3f} µs CPU")


if __name__ == "__main__":
    main()
