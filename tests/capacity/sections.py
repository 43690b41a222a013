"""Scaling sections, tasks and traffic that tests start from."""

import datetime
import json
from collections.abc import Sequence

from capacity.simulation import Run, simulate
from capacity.throughput import TaskThroughput
from capacity.traffic import Duration, Minute, Traffic
from stacks.settings import Scaling

MONDAY = datetime.datetime(2026, 11, 16, tzinfo=datetime.UTC)
ANSWER = Duration(p50_ms=1500, p95_ms=4000)
TASK = TaskThroughput(vcpu=1.0, processes=1, cpu_s_per_request=0.001, longest_wait_s=5, start_s=60)

SECTION: dict[str, object] = {
    "tasks_minimum": 2,
    "tasks_maximum": 20,
    "cpu_target_percent": 50,
    "requests_per_task_per_minute": 60_000,
    "in_flight_requests_per_task": 10_000,
    "latency_target_ms": 8000,
    "scale_out_cooldown_s": 120,
    "scale_in_cooldown_s": 300,
    "task_cpu_units": 1024,
    "task_memory_mib": 2048,
    "drain_time_s": 100,
}


def section(**changes: object) -> Scaling:
    return Scaling.model_validate_json(json.dumps({**SECTION, **changes}))


def task(**changes: float) -> TaskThroughput:
    return TASK.model_copy(update=changes)


def traffic(
    rates: Sequence[float], *, answer: Duration = ANSWER, start: datetime.datetime = MONDAY
) -> Traffic:
    return Traffic(name="test", start=start, minutes=[Minute(rate, answer) for rate in rates])


def run(
    rates: Sequence[float], *, of: TaskThroughput = TASK, answer: Duration = ANSWER, **changes: object
) -> Run:
    return simulate(section(**changes), of, traffic(rates, answer=answer))
