"""The circuits of the flags' tiers as metrics; age and failures are told with those of all snapshots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.control.flag_reader import TierReader


class FlagTierCollector(Collector):
    """Tells of every tier whether its circuit is open."""

    def __init__(self, readers: Sequence[TierReader]) -> None:
        self._readers = readers

    def collect(self) -> Iterator[Metric]:
        """1 for a tier that is only probed, else 0."""
        is_open = GaugeMetricFamily(
            "gateway_flag_tier_circuit_open", "Whether a tier of flags is only probed.", labels=("tier",)
        )
        for reader in self._readers:
            is_open.add_metric((reader.tier.name,), 1.0 if reader.circuit.open else 0.0)
        yield is_open
