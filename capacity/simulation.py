"""The service under a traffic, minute by minute, in steps of a few seconds.

Requests are spread over the tasks in service; each task is a queue for CPU (`capacity.queueing`). While load
is below what the CPUs can do, a minute has that queue's stationary waits. What arrives beyond piles up as a
backlog that is worked off first come, first served, until a request would have to wait too long: from there
on it is counted as throttled, and costs no CPU. Providers' time is added to the time for CPU and occupies
none: the gateway is asynchronous.
"""

from __future__ import annotations

import bisect
import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from capacity.answer_time import p95_ms
from capacity.fleet import Fleet
from capacity.floors import FloorChange, floor_changes
from capacity.queueing import Sojourn, highest_stationary_utilisation
from capacity.setting_keys import CPU_KEY, IN_FLIGHT_KEY, REQUESTS_KEY
from capacity.target_tracking import PERIOD_S, Cooldowns, Decision, Policy, TargetTracking
from capacity.throughput import TaskThroughput
from capacity.traffic import Minute, Traffic
from stacks.settings import Scaling

STEP_S = 5
STEPS = PERIOD_S // STEP_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one minute was like. Counts of tasks are those at its worst: fewest in service, most paid."""

    at: datetime.datetime
    minute: Minute
    tasks_in_service: int
    tasks_paid: float
    tasks_desired: int
    tasks_wanted: int
    tasks_floor: int
    deciding_key: str
    cpu_percent: float
    load_percent: float
    waiting_requests: float
    added_p95_ms: float
    p95_ms: float
    throttled_requests: float
    in_flight_per_task: float

    @property
    def requests_per_s(self) -> float:
        """The load."""
        return self.minute.requests_per_s

    @property
    def provider_p95_ms(self) -> float:
        """What the providers alone would take."""
        return self.minute.duration.p95_ms


@dataclass(frozen=True, kw_only=True)
class Run:
    """A scaling section under a traffic, and what came of it."""

    scaling: Scaling
    task: TaskThroughput
    traffic: Traffic
    floors: Sequence[FloorChange]
    outcomes: Sequence[Outcome]


def simulate(scaling: Scaling, task: TaskThroughput, traffic: Traffic) -> Run:
    """Run the service through the traffic. The same input gives the same outcome."""
    floors = floor_changes(scaling, start=traffic.start, end=traffic.end)
    service = _Service(scaling, task, traffic.minutes[0], floor=_floor_at(floors, traffic.start, scaling))
    changes = {change.at: change.tasks_minimum for change in floors}
    outcomes = [
        service.live(number, traffic.time_of(number), minute, changes.get(traffic.time_of(number)))
        for number, minute in enumerate(traffic.minutes)
    ]
    return Run(scaling=scaling, task=task, traffic=traffic, floors=floors, outcomes=outcomes)


def policies(scaling: Scaling) -> Sequence[Policy]:
    """The policies the Gateway stack creates from a scaling section, in the order their metrics are given."""
    return (
        Policy(key=CPU_KEY, target=scaling.cpu_target_percent),
        Policy(key=REQUESTS_KEY, target=scaling.requests_per_task_per_minute),
        Policy(key=IN_FLIGHT_KEY, target=scaling.in_flight_requests_per_task),
    )


def metrics_of_one_task(task: TaskThroughput, minute: Minute) -> Sequence[float]:
    """What the policies would see, in their order, if one task had all the requests and time to spare."""
    rate = minute.requests_per_s
    return (task.cpu_percent(rate), rate * PERIOD_S, rate * minute.duration.mean_ms / 1000)


def _floor_at(floors: Sequence[FloorChange], at: datetime.datetime, scaling: Scaling) -> int:
    position = bisect.bisect_right([change.at for change in floors], at)
    return floors[position - 1].tasks_minimum if position else scaling.tasks_minimum


@dataclass
class _Counts:
    """What adds up over the steps of a minute."""

    busy_cpu_s: float = 0.0
    reserved_cpu_s: float = 0.0
    arrived_per_task: float = 0.0
    throttled: float = 0.0
    paid_task_s: float = 0.0
    fewest_tasks: int = 10**9
    highest_load: float = 0.0
    longest_backlog_wait_s: float = 0.0
    backlog_request_s: float = 0.0


class _Service:
    def __init__(self, scaling: Scaling, task: TaskThroughput, first: Minute, *, floor: int) -> None:
        self._task = task
        self._station = task.station
        self._highest = highest_stationary_utilisation(
            self._station.servers, self._station.service_time_s, PERIOD_S
        )
        self._scaler = TargetTracking(
            policies(scaling),
            Cooldowns(scale_out_s=scaling.scale_out_cooldown_s, scale_in_s=scaling.scale_in_cooldown_s),
            minimum=floor,
            maximum=scaling.tasks_maximum,
        )
        self._scaler.start_with(metrics_of_one_task(task, first))
        self._fleet = Fleet(
            in_service=self._scaler.desired, start_s=task.start_s, drain_time_s=scaling.drain_time_s
        )
        self._backlog = 0.0

    def live(self, number: int, at: datetime.datetime, minute: Minute, floor: int | None) -> Outcome:
        """Live through one minute and decide at its end."""
        start_s = float(number * PERIOD_S)
        if floor is not None:
            self._scaler.set_minimum(floor)
            self._fleet.aim_at(self._scaler.desired, start_s)
        counts = _Counts()
        for step in range(STEPS):
            self._step(minute.requests_per_s, start_s + step * STEP_S, counts)
        end_s = start_s + PERIOD_S
        sojourn = self._station.at(min(counts.highest_load, self._highest))
        cpu_percent = 100 * counts.busy_cpu_s / counts.reserved_cpu_s
        in_flight = self._in_flight_per_task(minute, counts, sojourn)
        self._scaler.publish((cpu_percent, counts.arrived_per_task, in_flight))
        decision = self._scaler.decide(end_s)
        self._fleet.aim_at(decision.desired, end_s)
        return self._outcome(at, minute, counts, sojourn, decision)

    def _step(self, requests_per_s: float, now_s: float, counts: _Counts) -> None:
        self._fleet.advance(now_s)
        if self._fleet.settled:
            self._scaler.activity_over(now_s)
        tasks = self._fleet.in_service
        capacity_per_s = tasks * self._station.requests_per_s
        arrived = requests_per_s * STEP_S
        waiting = self._backlog + arrived
        served = min(waiting, capacity_per_s * STEP_S)
        left = waiting - served
        backlog = min(left, capacity_per_s * self._task.longest_wait_s)
        counts.busy_cpu_s += served * self._task.cpu_s_per_request
        counts.reserved_cpu_s += tasks * self._task.vcpu * STEP_S
        counts.arrived_per_task += arrived / tasks
        counts.throttled += left - backlog
        counts.paid_task_s += self._fleet.paid * STEP_S
        counts.fewest_tasks = min(counts.fewest_tasks, tasks)
        counts.highest_load = max(counts.highest_load, requests_per_s / capacity_per_s)
        counts.longest_backlog_wait_s = max(counts.longest_backlog_wait_s, backlog / capacity_per_s)
        counts.backlog_request_s += backlog * STEP_S
        self._backlog = backlog

    def _outcome(
        self,
        at: datetime.datetime,
        minute: Minute,
        counts: _Counts,
        sojourn: Sojourn,
        decision: Decision,
    ) -> Outcome:
        tasks = counts.fewest_tasks
        waiting = sojourn.mean_wait_s * min(minute.requests_per_s, tasks * self._station.requests_per_s) + (
            counts.backlog_request_s / PERIOD_S
        )
        backlog_s = counts.longest_backlog_wait_s
        return Outcome(
            at=at,
            minute=minute,
            tasks_in_service=tasks,
            tasks_paid=counts.paid_task_s / PERIOD_S,
            tasks_desired=decision.desired,
            tasks_wanted=decision.wanted,
            tasks_floor=self._scaler.minimum,
            deciding_key=decision.key,
            cpu_percent=100 * counts.busy_cpu_s / counts.reserved_cpu_s,
            load_percent=100 * counts.highest_load,
            waiting_requests=waiting,
            added_p95_ms=1000 * (backlog_s + sojourn.quantile_s(0.95)),
            p95_ms=1000 * backlog_s + p95_ms(minute.duration, sojourn),
            throttled_requests=counts.throttled,
            in_flight_per_task=self._in_flight_per_task(minute, counts, sojourn),
        )

    @staticmethod
    def _in_flight_per_task(minute: Minute, counts: _Counts, sojourn: Sojourn) -> float:
        """Requests being answered by a task, averaged, by Little's law: those let in, and the backlog."""
        let_in_per_s = minute.requests_per_s - counts.throttled / PERIOD_S
        answering = let_in_per_s * (minute.duration.mean_ms / 1000 + sojourn.mean_s)
        return (answering + counts.backlog_request_s / PERIOD_S) / counts.fewest_tasks
