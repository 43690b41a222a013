"""A plan as text for a terminal of 100 columns."""

from __future__ import annotations

import datetime
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from capacity.findings import Finding
from capacity.plan import Plan
from capacity.summary import DISPLAY_ZONE, Period, busiest_day, days, hours
from capacity.throughput import Throughput

WIDTH = 100
MOST_HOURS = 48
"""Hours that are listed one by one; a longer run is listed by day, and its busiest day by hour."""


@dataclass(frozen=True, kw_only=True)
class _Column:
    title: str
    unit: str
    width: int
    text: Callable[[Plan, Period], str]


_COLUMNS = (
    _Column(title="requests/s", unit="mean", width=11, text=lambda _, p: _amount(p.mean_requests_per_s)),
    _Column(title="", unit="peak", width=7, text=lambda _, p: _amount(p.peak_requests_per_s)),
    _Column(title="tasks", unit="mean", width=7, text=lambda _, p: f"{p.mean_tasks:.1f}"),
    _Column(title="", unit="range", width=7, text=lambda _, p: f"{p.fewest_tasks}–{p.most_tasks}"),
    _Column(title="CPU %", unit="mean", width=7, text=lambda _, p: f"{p.mean_cpu_percent:.0f}"),
    _Column(title="", unit="peak", width=6, text=lambda _, p: f"{p.peak_cpu_percent:.0f}"),
    _Column(title="open", unit="a task", width=8, text=lambda _, p: _amount(p.peak_in_flight_per_task)),
    _Column(title="wait for", unit="CPU", width=9, text=lambda _, p: _amount(p.peak_waiting_requests)),
    _Column(title="p95 s", unit="worst", width=7, text=lambda _, p: f"{p.worst_p95_ms / 1000:.2f}"),
    _Column(title="throttled", unit="requests", width=10, text=lambda _, p: f"{p.throttled_requests:.0f}"),
    _Column(title="tasks", unit="EUR", width=9, text=lambda plan, p: _eur(plan, p)),
)  # fmt: skip
_LABEL_WIDTH = 11

LEGEND = (
    "tasks mean: paid for, range: in service · open: requests being answered by a task, peak · wait for CPU: "
    "requests waiting, peak · p95: 95th percentile of the worst minute, provider included"
)


def describe(plan: Plan, throughput: Throughput, *, every_hour: bool = False, brief: bool = False) -> str:
    """The whole plan: what was planned with, the table unless `brief`, the totals and the findings."""
    tables = () if brief else _tables(plan, every_hour=every_hour)
    parts = [_heading(plan, throughput), *tables, _totals(plan)]
    return "\n\n".join([*parts, describe_findings(plan)])


def describe_findings(plan: Plan) -> str:
    """The findings, or that there are none."""
    if not plan.findings:
        return "Nothing to say against this section under this traffic."
    return "\n\n".join(_finding(plan, finding) for finding in plan.findings)


def clock(at: datetime.datetime) -> str:
    """A minute as it is shown: `Tue 17 Nov 10:03`."""
    return at.astimezone(DISPLAY_ZONE).strftime("%a %d %b %H:%M")


def wrapped(text: str, *, indent: str = "", hanging: str | None = None) -> str:
    """Text broken at the width of the table."""
    hanging = indent if hanging is None else hanging
    return textwrap.fill(
        text, WIDTH, initial_indent=indent, subsequent_indent=hanging, break_on_hyphens=False
    )


def heading_of(plan: Plan, throughput: Throughput) -> str:
    """What was planned with, below the name of the section."""
    traffic, gateway = plan.run.traffic, throughput.gateway
    return wrapped(
        f"{traffic.name}, {clock(traffic.start)} to {clock(traffic.end)} ({DISPLAY_ZONE}); "
        f"{gateway.cpu_ms_per_request:g} ms CPU a request, {gateway.measured_on} ({gateway.source}); "
        f"a task starts in {throughput.task.start_s} s, {throughput.task.declared_on} (declared)"
    )


def _heading(plan: Plan, throughput: Throughput) -> str:
    return f"{plan.file}\n{heading_of(plan, throughput)}"


def _tables(plan: Plan, *, every_hour: bool) -> Iterator[str]:
    by_hour = hours(plan.run)
    if every_hour or len(by_hour) <= MOST_HOURS:
        yield "\n".join([*_header("hour"), *(_line(plan, period, "%a %d %H:%M") for period in by_hour)])
    else:
        busiest = busiest_day(plan.run)
        yield "\n".join([*_header("day"), *(_line(plan, period, "%a %d %b") for period in days(plan.run))])
        of_the_day = [period for period in by_hour if period.start.date() == busiest]
        title = f"{busiest:%A %d %B}, the day with the busiest minute, by hour:"
        yield "\n".join([title, *_header("hour"), *(_line(plan, period, "%H:%M") for period in of_the_day)])
    yield wrapped(LEGEND)


def _header(label: str) -> Iterator[str]:
    yield (" " * _LABEL_WIDTH + "".join(f"{column.title:>{column.width}}" for column in _COLUMNS)).rstrip()
    yield f"{label:<{_LABEL_WIDTH}}" + "".join(f"{column.unit:>{column.width}}" for column in _COLUMNS)


def _line(plan: Plan, period: Period, label: str) -> str:
    cells = "".join(f"{column.text(plan, period):>{column.width}}" for column in _COLUMNS)
    return f"{period.start.strftime(label):<{_LABEL_WIDTH}}{cells}"


def _totals(plan: Plan) -> str:
    total, scaling = plan.total, plan.run.scaling
    held = 100 * (1 - total.minutes_above_target / total.minutes)
    task = f"{scaling.task_cpu_units / 1024:g} vCPU, {scaling.task_memory_mib / 1024:g} GiB"
    lines = [
        f"Requests   {_millions(total.requests)}, {total.throttled_requests:.0f} throttled "
        f"({total.throttled_percent:.3f} %)",
        f"Tasks      {total.mean_tasks:.2f} on average ({task}), {total.fewest_tasks} to {total.most_tasks} "
        f"in service, CPU {total.mean_cpu_percent:.1f} %",
        f"Latency    p95 at most {scaling.latency_target_ms / 1000:g} s in {held:.2f} % of the minutes; "
        f"the gateway itself adds up to {total.worst_added_p95_ms:.1f} ms",
        f"Cost       {plan.eur_per_month:.2f} EUR a month for the tasks "
        f"({plan.hours_per_month} h, {plan.task_hour_eur:.5f} EUR a task and hour)",
    ]
    return "\n".join(lines)


def _finding(plan: Plan, finding: Finding) -> str:
    when = f", {clock(finding.at)}" if finding.at else ""
    return "\n".join(
        [
            f"{finding.severity}: {plan.file}: {finding.key} = {finding.value}{when}",
            wrapped(f"why: {finding.why}", indent="    ", hanging="         "),
            wrapped(f"fix: {finding.fix}", indent="    ", hanging="         "),
        ]
    )


def _eur(plan: Plan, period: Period) -> str:
    return f"{period.task_hours * plan.task_hour_eur:.2f}"


def _amount(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


def _millions(requests: float) -> str:
    return f"{requests / 1e6:.2f} million" if requests >= 1e6 else f"{requests:.0f}"


__all__: Sequence[str] = ("WIDTH", "clock", "describe", "describe_findings", "heading_of", "wrapped")
