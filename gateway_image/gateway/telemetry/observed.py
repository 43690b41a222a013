"""What this replica has seen of each model lately: how often it was called, failed, and how long it took.

Learned while it runs and forgotten with it. It stands beside what the registry declares and never replaces
it: nothing of this is written to a store.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import msgspec

from gateway.providers.adapter import FailureKind
from gateway.telemetry.record import ANSWERED, Attempt

WINDOW_S = 900.0
CALLS_KEPT = 512
"""Of one model. Busier models are told of by their latest calls, which are less than a window."""

MODELS_KEPT = 256
"""Versions; of more, the ones not called for longest are forgotten."""

MODELS_FAULTS = frozenset({kind.value for kind in FailureKind if not kind.callers_fault})
"""A call that the caller spoilt, gave up, or the gateway broke says nothing about the model."""


class Observed(msgspec.Struct, frozen=True):
    """The calls of a window. Latencies are of answered calls, None where there was none."""

    calls: int
    error_rate: float
    median_ms: float | None
    p95_ms: float | None
    window_s: float


class _Call(msgspec.Struct, frozen=True, gc=False):
    ended_at_s: float
    duration_ms: float
    answered: bool


class ObservedModels:
    """The latest calls of every version, in bounded memory. For one event loop; any thread may ask `told`."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._calls: dict[tuple[str, str], deque[_Call]] = {}

    def attempted(self, attempt: Attempt) -> None:
        """Take note of a call."""
        answered = attempt.outcome == ANSWERED
        if not answered and attempt.outcome not in MODELS_FAULTS:
            return
        version = (attempt.key, attempt.version)
        calls = self._calls.get(version)
        if calls is None:
            calls = self._begin(version)
        calls.append(_Call(self._clock(), attempt.duration_ms, answered))

    def told(self, key: str, version: str) -> Observed | None:
        """What was seen of a version within the window; None where it was not called."""
        since_s = self._clock() - WINDOW_S
        kept = tuple(self._calls.get((key, version), ()))
        calls = [call for call in kept if call.ended_at_s > since_s]
        if not calls:
            return None
        latencies = sorted(call.duration_ms for call in calls if call.answered)
        return Observed(
            calls=len(calls),
            error_rate=round(1 - len(latencies) / len(calls), 4),
            median_ms=_quantile(latencies, 0.5),
            p95_ms=_quantile(latencies, 0.95),
            window_s=WINDOW_S,
        )

    def _begin(self, version: tuple[str, str]) -> deque[_Call]:
        if len(self._calls) >= MODELS_KEPT:
            quietest = min(self._calls, key=lambda each: self._calls[each][-1].ended_at_s)
            del self._calls[quietest]
        calls: deque[_Call] = deque(maxlen=CALLS_KEPT)
        self._calls[version] = calls
        return calls


def _quantile(ordered: list[float], share: float) -> float | None:
    """The smallest value that at least `share` of the values do not exceed (nearest rank)."""
    if not ordered:
        return None
    rank = -(-len(ordered) * share // 1)
    return ordered[max(int(rank), 1) - 1]
