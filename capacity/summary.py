"""From minutes to hours, days and the whole run."""

from __future__ import annotations

import datetime
import itertools
import zoneinfo
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from capacity.simulation import Outcome, Run
from capacity.target_tracking import PERIOD_S

DISPLAY_ZONE = zoneinfo.ZoneInfo("Europe/Berlin")
"""Times are shown on the clock of the office hours, whatever the zone of the machine."""


@dataclass(frozen=True, kw_only=True)
class Period:
    """Consecutive minutes. Peaks are those of the worst minute; times are shown from `start`."""

    start: datetime.datetime
    minutes: int
    requests: float
    peak_requests_per_s: float
    task_hours: float
    fewest_tasks: int
    most_tasks: int
    mean_cpu_percent: float
    peak_cpu_percent: float
    peak_in_flight_per_task: float
    peak_waiting_requests: float
    worst_added_p95_ms: float
    worst_p95_ms: float
    throttled_requests: float
    minutes_above_target: int

    @property
    def mean_requests_per_s(self) -> float:
        """Requests a second, averaged."""
        return self.requests / (PERIOD_S * self.minutes)

    @property
    def mean_tasks(self) -> float:
        """Tasks paid for, averaged."""
        return self.task_hours / (self.minutes / 60)

    @property
    def throttled_percent(self) -> float:
        """Share of the requests that were throttled."""
        return 100 * self.throttled_requests / self.requests if self.requests else 0.0


def whole(run: Run) -> Period:
    """The run as one period."""
    return _period(run.outcomes, run.scaling.latency_target_ms)


def days(run: Run) -> Sequence[Period]:
    """By calendar day of the display zone."""
    return list(_grouped(run, lambda at: at.date()))


def hours(run: Run) -> Sequence[Period]:
    """By clock hour."""
    return list(_grouped(run, lambda at: at.astimezone(datetime.UTC).replace(minute=0)))


def busiest_day(run: Run) -> datetime.date:
    """The day with the busiest minute."""
    busiest = max(run.outcomes, key=lambda outcome: outcome.requests_per_s)
    return busiest.at.astimezone(DISPLAY_ZONE).date()


def _grouped(run: Run, key: Callable[[datetime.datetime], object]) -> Iterator[Period]:
    for _, group in itertools.groupby(run.outcomes, lambda o: key(o.at.astimezone(DISPLAY_ZONE))):
        yield _period(list(group), run.scaling.latency_target_ms)


def _period(outcomes: Sequence[Outcome], target_ms: int) -> Period:
    # Weighted by tasks: what CloudWatch's average over the service shows.
    reserved = sum(outcome.tasks_in_service for outcome in outcomes)
    return Period(
        start=outcomes[0].at.astimezone(DISPLAY_ZONE),
        minutes=len(outcomes),
        requests=PERIOD_S * sum(outcome.requests_per_s for outcome in outcomes),
        peak_requests_per_s=max(outcome.requests_per_s for outcome in outcomes),
        task_hours=sum(outcome.tasks_paid for outcome in outcomes) / 60,
        fewest_tasks=min(outcome.tasks_in_service for outcome in outcomes),
        most_tasks=max(outcome.tasks_in_service for outcome in outcomes),
        mean_cpu_percent=sum(o.cpu_percent * o.tasks_in_service for o in outcomes) / reserved,
        peak_cpu_percent=max(outcome.cpu_percent for outcome in outcomes),
        peak_in_flight_per_task=max(outcome.in_flight_per_task for outcome in outcomes),
        peak_waiting_requests=max(outcome.waiting_requests for outcome in outcomes),
        worst_added_p95_ms=max(outcome.added_p95_ms for outcome in outcomes),
        worst_p95_ms=max(outcome.p95_ms for outcome in outcomes),
        throttled_requests=sum(outcome.throttled_requests for outcome in outcomes),
        minutes_above_target=sum(outcome.p95_ms > target_ms for outcome in outcomes),
    )
