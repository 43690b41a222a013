"""The times at which the service did not keep up, and how many tasks would have."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from capacity.findings import minutes_text, time_text
from capacity.simulation import Outcome, Run, metrics_of_one_task, policies
from capacity.traffic import Minute

GAP_MINUTES = 10
"""Minutes of peace that end an episode."""

HIGHEST_LOAD = 0.95
"""Share of its CPUs up to which a task is taken to keep up; above it small bursts already wait long."""


@dataclass(frozen=True, kw_only=True)
class Episode:
    """Minutes, short breaks included, in which requests were throttled or answered too late."""

    outcomes: Sequence[Outcome]

    @property
    def at(self) -> datetime.datetime:
        """When it began."""
        return self.outcomes[0].at

    @property
    def throttled(self) -> float:
        """Requests throttled."""
        return sum(outcome.throttled_requests for outcome in self.outcomes)

    @property
    def worst(self) -> Outcome:
        """The minute that hurt most."""
        return max(self.outcomes, key=lambda outcome: (outcome.throttled_requests, outcome.p95_ms))

    @property
    def peak_requests_per_s(self) -> float:
        """The busiest minute's load."""
        return max(outcome.requests_per_s for outcome in self.outcomes)

    @property
    def harm(self) -> str:
        """What callers suffered, in words."""
        slowest_ms = max(outcome.p95_ms for outcome in self.outcomes)
        late = f"{minutes_text(len(self.outcomes))} with a 95th percentile of up to {time_text(slowest_ms)}"
        return f"{late} and {self.throttled:.0f} throttled requests" if self.throttled >= 1 else late


def episodes(run: Run) -> Sequence[Episode]:
    """When the target was missed for want of CPU; slow providers are none of a task's making."""
    spans: list[list[int]] = []
    for number, outcome in enumerate(run.outcomes):
        if not misses(run, outcome):
            continue
        if spans and number - spans[-1][-1] <= GAP_MINUTES:
            spans[-1].append(number)
        else:
            spans.append([number])
    return [Episode(outcomes=run.outcomes[span[0] : span[-1] + 1]) for span in spans]


def misses(run: Run, outcome: Outcome) -> bool:
    """Whether a minute missed the target although the providers alone would not have."""
    target_ms = run.scaling.latency_target_ms
    late = outcome.p95_ms > target_ms and outcome.provider_p95_ms <= target_ms
    return late or outcome.throttled_requests >= 1


def tasks_by_policy(run: Run, minute: Minute) -> Mapping[str, float]:
    """The tasks, unrounded, at which each policy sees its target, by the policy's setting."""
    values = metrics_of_one_task(run.task, minute)
    return {
        policy.key: value / policy.target for policy, value in zip(policies(run.scaling), values, strict=True)
    }


def tasks_for(run: Run, minute: Minute) -> int:
    """Tasks at which every policy sees at most its target."""
    return max(1, math.ceil(max(tasks_by_policy(run, minute).values()) - 1e-9))


def tasks_that_keep_up(run: Run, requests_per_s: float) -> int:
    """The fewest tasks whose CPUs can do this load."""
    return max(1, math.ceil(requests_per_s / run.task.station.requests_per_s / HIGHEST_LOAD))
