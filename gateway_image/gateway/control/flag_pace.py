"""How often a tier of flags is read: on its interval, or as often as is probed once its circuit is open."""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec

FAILURES_TO_OPEN = 3
SHORTEST_SHARE = 0.8
"""Replicas that started together spread their reads over the last fifth of the interval."""

SHORTEST_PAUSE_S = 0.2
"""Between two reads of a tier whose answers take longer than its interval."""


class Pace(msgspec.Struct, frozen=True):
    """Seconds from the start of one read to that of the next, with the circuit closed and with it open."""

    interval_s: float
    probe_interval_s: float


class TierCircuit:
    """Opens after a few failures in a row. Then single probes pass; the first success closes it.

    Nothing waits for a tier, so an open circuit keeps no request waiting either: it spares a tier that is ill
    the reads of every replica, as far as the time in which a kill switch must be in force permits.
    """

    def __init__(self, pace: Pace, *, jitter: Callable[[float, float], float] = random.uniform) -> None:
        self._pace = pace
        self._jitter = jitter
        self._failures_in_a_row = 0

    @property
    def open(self) -> bool:
        """Whether the tier is only probed."""
        return self._failures_in_a_row >= FAILURES_TO_OPEN

    @property
    def answering(self) -> bool:
        """Whether the last read succeeded."""
        return self._failures_in_a_row == 0

    def succeeded(self) -> None:
        """Note that the tier answered."""
        self._failures_in_a_row = 0

    def failed(self) -> None:
        """Note that it did not."""
        self._failures_in_a_row += 1

    def pause_s(self, read_took_s: float) -> float:
        """Seconds to wait after a read that took `read_took_s`."""
        interval_s = self._pace.probe_interval_s if self.open else self._pace.interval_s
        return max(SHORTEST_PAUSE_S, interval_s * self._jitter(SHORTEST_SHARE, 1.0) - read_took_s)
