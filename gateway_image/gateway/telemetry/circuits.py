"""The circuits as Prometheus sees them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.resilience.circuit import CircuitState
from gateway.resilience.circuits import Circuits

NUMBERS = {CircuitState.CLOSED: 0.0, CircuitState.HALF_OPEN: 1.0, CircuitState.OPEN: 2.0}


class CircuitCollector(Collector):
    """Tells the state of every circuit that was ever used: one for each provider and model called."""

    def __init__(self, circuits: Circuits, clock: Callable[[], float] = time.monotonic) -> None:
        self._circuits = circuits
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """The states as numbers."""
        state = GaugeMetricFamily(
            "gateway_circuit_state",
            "Whether calls go through: 0 closed, 1 half-open, 2 open.",
            labels=("circuit",),
        )
        for name, current in self._circuits.states(self._clock()):
            state.add_metric((name,), NUMBERS[current])
        yield state
