"""Two scaling sections under the same traffic, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from capacity.plan import Plan
from capacity.plan_table import describe_findings, heading_of
from capacity.summary import Period, days, hours
from capacity.throughput import Throughput

_TOTALS: Sequence[tuple[str, str, Callable[[Plan], float]]] = (
    ("tasks, mean", ".2f", lambda plan: plan.total.mean_tasks),
    ("tasks in service, fewest", ".0f", lambda plan: plan.total.fewest_tasks),
    ("tasks in service, most", ".0f", lambda plan: plan.total.most_tasks),
    ("CPU %, mean", ".1f", lambda plan: plan.total.mean_cpu_percent),
    ("CPU %, worst minute", ".1f", lambda plan: plan.total.peak_cpu_percent),
    ("open requests a task, peak", ".0f", lambda plan: plan.total.peak_in_flight_per_task),
    ("requests waiting for CPU, peak", ".1f", lambda plan: plan.total.peak_waiting_requests),
    ("p95 s, worst minute", ".2f", lambda plan: plan.total.worst_p95_ms / 1000),
    ("minutes above the latency target", ".0f", lambda plan: plan.total.minutes_above_target),
    ("throttled requests", ".0f", lambda plan: plan.total.throttled_requests),
    ("EUR a month, tasks", ".2f", lambda plan: plan.eur_per_month),
)

_CELLS = ("tasks", "CPU %", "p95 s", "throttled", "EUR")


def compare(plans: Sequence[Plan], throughput: Throughput, *, brief: bool = False) -> str:
    """Settings that differ, totals, days (or hours) next to each other unless `brief`; then the findings."""
    first, second = plans
    return "\n\n".join(
        [
            f"A  {first.file}\nB  {second.file}\n{heading_of(first, throughput)}",
            "\n".join(_settings(first, second)),
            "\n".join(_totals(first, second)),
            *(() if brief else ("\n".join(_periods(first, second)),)),
            *(f"{letter}  {describe_findings(plan)}" for letter, plan in (("A", first), ("B", second))),
        ]
    )


def _settings(first: Plan, second: Plan) -> Iterator[str]:
    yield f"{'settings that differ':<34}{'A':>12}{'B':>12}"
    ours, theirs = first.run.scaling, second.run.scaling
    names = [name for name in type(ours).model_fields if getattr(ours, name) != getattr(theirs, name)]
    if not names:
        yield "none: both sections say the same"
    for name in names:
        yield f"{name:<34}{_setting(getattr(ours, name)):>12}{_setting(getattr(theirs, name)):>12}"


def _setting(value: object) -> str:
    if isinstance(value, tuple):
        return "/".join(str(floor.tasks_minimum) for floor in value) or "none"
    return str(value)


def _totals(first: Plan, second: Plan) -> Iterator[str]:
    yield f"{'the whole time':<34}{'A':>12}{'B':>12}{'B − A':>12}"
    for title, form, value in _TOTALS:
        ours, theirs = value(first), value(second)
        yield f"{title:<34}{ours:>12{form}}{theirs:>12{form}}{theirs - ours:>+12{form}}"


def _periods(first: Plan, second: Plan) -> Iterator[str]:
    by_hour = hours(first.run)
    divide, label = (hours, "%a %d %H:%M") if len(by_hour) <= 48 else (days, "%a %d %b")
    cells = "".join(f"{cell:>{_width(cell)}}" for cell in _CELLS)
    yield f"{'':<12}{'A':>22}{'':<20}  {'B':>22}".rstrip()
    yield f"{'':<12}{cells}  {cells}"
    for ours, theirs in zip(divide(first.run), divide(second.run), strict=True):
        yield f"{ours.start.strftime(label):<12}{_row(first, ours)}  {_row(second, theirs)}"


def _row(plan: Plan, period: Period) -> str:
    texts = (
        f"{period.mean_tasks:.1f}",
        f"{period.peak_cpu_percent:.0f}",
        f"{period.worst_p95_ms / 1000:.2f}",
        f"{period.throttled_requests:.0f}",
        f"{period.task_hours * plan.task_hour_eur:.2f}",
    )
    return "".join(f"{text:>{_width(cell)}}" for text, cell in zip(texts, _CELLS, strict=True))


def _width(cell: str) -> int:
    return max(8, len(cell) + 1)
