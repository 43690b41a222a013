"""The gateway's metrics, in Prometheus' exposition format.

Labels only take values an operator declares (models, domains, surfaces, filters) or a closed set, so that no
caller can make the number of series grow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from gateway.control.flag_reader import TierReader
from gateway.control.registry import RegistryItem
from gateway.control.snapshot import Refreshed
from gateway.model import Usage
from gateway.resilience.circuits import Circuits
from gateway.routing.decision import RouteDecision
from gateway.telemetry.circuits import CircuitCollector
from gateway.telemetry.flag_tiers import FlagTierCollector
from gateway.telemetry.observed import ObservedModels
from gateway.telemetry.record import Attempt

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
REQUEST_BUCKETS_S = (0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120)


class Metrics:
    """Every metric of one gateway process, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "gateway_requests", "Requests ended.", ("surface", "status"), registry=self._registry
        )
        self._durations = Histogram(
            "gateway_request_duration_seconds",
            "Time from a request's head to its answer.",
            ("surface",),
            buckets=REQUEST_BUCKETS_S,
            registry=self._registry,
        )
        self.in_flight = Gauge(
            "gateway_requests_in_flight", "Requests being answered.", registry=self._registry
        )
        self._calls = Counter(
            "gateway_provider_calls", "Model calls ended.", ("model", "outcome"), registry=self._registry
        )
        self._call_durations = Histogram(
            "gateway_provider_call_duration_seconds",
            "Time of one model call.",
            ("model",),
            buckets=REQUEST_BUCKETS_S,
            registry=self._registry,
        )
        self._broken_off = Counter(
            "gateway_streams_broken_off",
            "Streamed answers that ended in an error after a part of them was sent.",
            ("model",),
            registry=self._registry,
        )
        self._passed_over = Counter(
            "gateway_stream_events_passed_over",
            "Malformed events that are left out of streamed answers.",
            ("model",),
            registry=self._registry,
        )
        self._tokens = Counter(
            "gateway_tokens", "Tokens of answered calls.", ("model", "direction"), registry=self._registry
        )
        self._cost = Counter(
            "gateway_cost_eur_micro",
            "Cost of answered calls, in millionths of a euro.",
            ("model",),
            registry=self._registry,
        )
        self._decisions = Counter(
            "gateway_decisions",
            "Decisions by the model chosen.",
            ("model", "domain", "budget_tier"),
            registry=self._registry,
        )
        self._exclusions = Counter(
            "gateway_exclusions",
            "Models excluded, by the filter.",
            ("model", "filter"),
            registry=self._registry,
        )
        ProcessCollector(registry=self._registry)
        self.observed = ObservedModels()

    def watch(self, snapshots: Iterable[Refreshed]) -> None:
        """Tell the age and failures of `snapshots` with every exposition."""
        self._registry.register(_SnapshotCollector(tuple(snapshots)))

    def watch_flags(self, readers: Sequence[TierReader]) -> None:
        """Tell with every exposition which tiers of flags are only probed."""
        self._registry.register(FlagTierCollector(readers))

    def watch_circuits(self, circuits: Circuits) -> None:
        """Tell with every exposition which circuits are open."""
        self._registry.register(CircuitCollector(circuits))

    def request_ended(self, surface: str, status: int, duration_s: float) -> None:
        """Count a request."""
        self._requests.labels(surface, str(status)).inc()
        self._durations.labels(surface).observe(duration_s)

    def decided(self, decision: RouteDecision) -> None:
        """Count a decision, and what it excluded."""
        self._decisions.labels(decision.chosen or "none", decision.domain, decision.budget_tier).inc()
        for each in decision.excluded:
            self._exclusions.labels(each.key, each.filter).inc()

    def attempted(self, attempt: Attempt) -> None:
        """Count a model call."""
        self._calls.labels(attempt.key, attempt.outcome).inc()
        self._call_durations.labels(attempt.key).observe(attempt.duration_ms / 1000.0)
        self.observed.attempted(attempt)

    def broke_off(self, key: str) -> None:
        """Count an answer that its caller got only a part of."""
        self._broken_off.labels(key).inc()

    def passed_over(self, key: str, events: int) -> None:
        """Count what is missing from answers because it could not be read."""
        self._passed_over.labels(key).inc(events)

    def settled(self, item: RegistryItem, usage: Usage, cost_eur_micro: int) -> None:
        """Count the tokens and the cost of an answered call."""
        key = item.key
        self._tokens.labels(key, "input").inc(usage.input_tokens)
        self._tokens.labels(key, "output").inc(usage.output_tokens)
        self._cost.labels(key).inc(cost_eur_micro)

    def exposition(self) -> bytes:
        """Everything, as `/metrics` answers it."""
        return generate_latest(self._registry)

    def per_model(self) -> dict[str, dict[str, float]]:
        """Model → calls by outcome, tokens by direction, cost: the counters as `/v1/stats` tells them."""
        told: dict[str, dict[str, float]] = {}
        for counter, label in ((self._calls, "outcome"), (self._tokens, "direction"), (self._cost, None)):
            for sample in _totals(counter):
                name = "cost_eur_micro" if label is None else f"{_PREFIX[label]}{sample.labels[label]}"
                told.setdefault(sample.labels["model"], {})[name] = sample.value
        return told

    def requests_by_status(self) -> dict[str, float]:
        """Status → requests ended with it."""
        told: dict[str, float] = {}
        for sample in _totals(self._requests):
            status = sample.labels["status"]
            told[status] = told.get(status, 0.0) + sample.value
        return told


_PREFIX = {"outcome": "calls_", "direction": "tokens_"}


def _totals(counter: Counter) -> list[Sample]:
    return [each for family in counter.collect() for each in family.samples if each.name.endswith("_total")]


class _SnapshotCollector(Collector):
    def __init__(self, snapshots: tuple[Refreshed, ...]) -> None:
        self._snapshots = snapshots

    def collect(self) -> Iterator[Metric]:
        """The age, failures and refused values of every snapshot."""
        age = GaugeMetricFamily(
            "gateway_snapshot_age_seconds", "Time since the store last answered.", labels=("snapshot",)
        )
        failures = CounterMetricFamily(
            "gateway_snapshot_failures", "Refreshes that brought nothing.", labels=("snapshot",)
        )
        refused = CounterMetricFamily(
            "gateway_snapshot_refused_values", "Wrong values not taken up.", labels=("snapshot",)
        )
        for snapshot in self._snapshots:
            if snapshot.age_s is not None:
                age.add_metric((snapshot.name,), snapshot.age_s)
            failures.add_metric((snapshot.name,), snapshot.failures)
            refused.add_metric((snapshot.name,), snapshot.refused_values)
        yield from (age, failures, refused)
