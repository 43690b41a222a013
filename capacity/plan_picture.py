"""A plan as one picture, PNG and SVG: load, tasks, CPU and latency on one time axis.

Colours are those of Okabe and Ito, which readers with any colour vision tell apart
(https://jfly.uni-koeln.de/color/); lines that mean different things also differ in their dashes. The same
plan gives the same bytes: no clock, no random ids.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib import dates, ticker
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from capacity.findings import Severity
from capacity.plan import Plan
from capacity.simulation import Outcome
from capacity.summary import DISPLAY_ZONE

BLUE, VERMILLION, GREEN, BLACK, GREY = "#0072B2", "#D55E00", "#009E73", "#000000", "#6b7280"
WIDTH_INCHES, HEIGHT_INCHES, DOTS_PER_INCH = 12.0, 11.0, 110
MOST_POINTS = 1500
DOTTED, DASHED = (0, (1, 1.2)), (0, (6, 3))

_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#d7dbe0",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "svg.hashsalt": "capacity",
    "svg.fonttype": "path",
    "path.simplify": True,
}


@dataclass(frozen=True, kw_only=True)
class _Look:
    """How a plan is told from the other: prefix in the legend, colours, and points of width.

    The first is wider, so that it shows where both lie on each other.
    """

    prefix: str
    line: str
    floor: str
    limit: str
    width: float = 1.3


_ALONE = (_Look(prefix="", line=BLUE, floor=GREEN, limit=VERMILLION),)
_COMPARED = (
    _Look(prefix="A: ", line=BLUE, floor=BLUE, limit=BLUE, width=2.4),
    _Look(prefix="B: ", line=VERMILLION, floor=VERMILLION, limit=VERMILLION),
)


def _looks(plans: Sequence[Plan]) -> Iterator[tuple[_Look, Plan]]:
    return zip(_ALONE if len(plans) == 1 else _COMPARED, plans, strict=True)


@dataclass(frozen=True, kw_only=True)
class _Series:
    """One number over time; of minutes drawn as one point, `reduce` keeps what matters."""

    value: Callable[[Outcome], float]
    reduce: Callable[[Sequence[float]], float] = max


def draw(plans: Sequence[Plan], stem: Path, kinds: Sequence[str] = ("png", "svg")) -> Sequence[Path]:
    """Write `<stem>.png` and `<stem>.svg`, or one of them; the paths written."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(_STYLE):  # type: ignore[arg-type]  # its keys are an enumeration
        figure = _figure(plans)
        FigureCanvasAgg(figure)
        files = {kind: stem.parent / f"{stem.name}.{kind}" for kind in kinds}
        for kind, file in files.items():
            undated = {"svg": {"Date": None}, "png": {"Software": None}}[kind]
            description = {"Description": f"plan {fingerprint(plans)}"}
            figure.savefig(file, dpi=DOTS_PER_INCH, metadata={**undated, **description})
    return list(files.values())


def fingerprint(plans: Sequence[Plan]) -> str:
    """What is drawn, as a short hash of the rounded outcomes: it tells whether a picture is up to date."""
    drawn = [
        (o.tasks_in_service, round(o.requests_per_s), round(o.cpu_percent), round(o.p95_ms, -1))
        for plan in plans
        for o in plan.run.outcomes
    ]
    return hashlib.sha256(repr(drawn).encode()).hexdigest()[:16]


def _figure(plans: Sequence[Plan]) -> Figure:
    # Fixed margins: matplotlib's own layouts differ in the last digits from run to run.
    figure = Figure(figsize=(WIDTH_INCHES, HEIGHT_INCHES))
    figure.subplots_adjust(left=0.075, right=0.845, bottom=0.05, top=0.95 - 0.018 * len(plans), hspace=0.13)
    load, tasks, cpu, latency = figure.subplots(4, 1, sharex=True, height_ratios=(1, 1.2, 1, 1.2))
    figure.text(0.01, 0.99, _title(plans), va="top", fontsize=10.5, linespacing=1.35)
    _draw_load(load, plans[0])
    _draw_tasks(tasks, plans)
    _draw_cpu(cpu, plans)
    _draw_latency(latency, plans)
    _mark_warnings((load, tasks, cpu, latency), plans)
    _time_axis(latency, plans[0])
    figure.align_ylabels()
    return figure


def _title(plans: Sequence[Plan]) -> str:
    lines = [f"Capacity under {plans[0].run.traffic.name}"]
    for letter, plan in zip("AB", plans, strict=False):
        name = f"{letter}: {plan.file}" if len(plans) > 1 else str(plan.file)
        held = 100 * (1 - plan.total.minutes_above_target / plan.total.minutes)
        lines.append(
            f"{name}: {plan.total.mean_tasks:.1f} tasks on average, {plan.eur_per_month:.0f} EUR a month, "
            f"latency target held in {held:.2f} % of the minutes, "
            f"{plan.total.throttled_requests:.0f} requests throttled"
        )
    return "\n".join(lines)


def _draw_load(axes: Axes, plan: Plan) -> None:
    _line(axes, plan, _Series(value=lambda o: o.requests_per_s), color=BLACK, linewidth=1.3)
    axes.set_ylabel("load\n(requests/s)")
    axes.set_ylim(bottom=0)


def _draw_tasks(axes: Axes, plans: Sequence[Plan]) -> None:
    for look, plan in _looks(plans):
        in_service = _Series(value=lambda o: o.tasks_in_service, reduce=min)
        _line(
            axes,
            plan,
            in_service,
            color=look.line,
            linewidth=look.width,
            label=f"{look.prefix}in service",
            drawstyle="steps-post",
        )
        floor = _Series(value=lambda o: o.tasks_floor)
        _line(
            axes, plan, floor, color=look.floor, linewidth=look.width, label=f"{look.prefix}floor",
            linestyle=DOTTED, drawstyle="steps-post",
        )  # fmt: skip
        _limit(axes, look, plan.run.scaling.tasks_maximum, "maximum")
    axes.set_ylabel("tasks")
    axes.set_ylim(0, 1.12 * max(plan.run.scaling.tasks_maximum for plan in plans))
    axes.yaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    _legend(axes)


def _draw_cpu(axes: Axes, plans: Sequence[Plan]) -> None:
    for look, plan in _looks(plans):
        _line(
            axes,
            plan,
            _Series(value=lambda o: o.cpu_percent),
            color=look.line,
            linewidth=look.width,
            label=f"{look.prefix}in use",
        )
        _limit(axes, look, plan.run.scaling.cpu_target_percent, "target")
    axes.set_ylabel("CPU\n(% of reserved)")
    axes.set_ylim(0, 105)
    _legend(axes)


def _draw_latency(axes: Axes, plans: Sequence[Plan]) -> None:
    for look, plan in _looks(plans):
        whole = _Series(value=lambda o: o.p95_ms / 1000)
        _line(axes, plan, whole, color=look.line, linewidth=look.width, label=f"{look.prefix}answer, p95")
        cpu = _Series(value=lambda o: o.added_p95_ms / 1000)
        _line(
            axes,
            plan,
            cpu,
            color=look.line,
            linewidth=look.width,
            label=f"{look.prefix}for CPU, p95",
            linestyle=DOTTED,
        )
        _limit(axes, look, plan.run.scaling.latency_target_ms / 1000, "target")
    throttled = [
        dates.date2num(o.at) for plan in plans for o in plan.run.outcomes if o.throttled_requests >= 1
    ]
    if throttled:
        axes.plot(
            throttled, [0.04] * len(throttled), "|", color=BLACK, markersize=9, label="requests throttled",
            transform=axes.get_xaxis_transform(),
        )  # fmt: skip
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_ylabel("time to answer\n(s, logarithmic)")
    _legend(axes)


def _limit(axes: Axes, look: _Look, value: float, name: str) -> None:
    axes.axhline(
        value, color=look.limit, linewidth=look.width, linestyle=DASHED, label=f"{look.prefix}{name}"
    )


def _mark_warnings(panels: Sequence[Axes], plans: Sequence[Plan]) -> None:
    times = {f.at for plan in plans for f in plan.findings if f.at and f.severity == Severity.WARNING}
    for at in sorted(times):
        for axes in panels:
            axes.axvline(dates.date2num(at), color=GREY, linewidth=1, linestyle=DOTTED)
        panels[0].annotate(
            "warning", (dates.date2num(at), 1.0), xycoords=("data", "axes fraction"), xytext=(3, -2),
            textcoords="offset points", fontsize=8.5, color=GREY, va="top",
        )  # fmt: skip


def _line(axes: Axes, plan: Plan, series: _Series, **look: object) -> None:
    outcomes = plan.run.outcomes
    width = -(-len(outcomes) // MOST_POINTS)
    chunks = [outcomes[start : start + width] for start in range(0, len(outcomes), width)]
    values = [series.reduce([series.value(outcome) for outcome in chunk]) for chunk in chunks]
    times = [dates.date2num(chunk[0].at) for chunk in chunks]
    axes.plot(times, values, **look)  # type: ignore[arg-type]


def _legend(axes: Axes) -> None:
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.02), fontsize=9, handlelength=2.6)


def _time_axis(axes: Axes, plan: Plan) -> None:
    zone = DISPLAY_ZONE
    length = plan.run.traffic.end - plan.run.traffic.start
    if length > datetime.timedelta(days=2):
        step = max(1, length.days // 10)
        axes.xaxis.set_major_locator(dates.DayLocator(interval=step, tz=zone))
        axes.xaxis.set_major_formatter(dates.DateFormatter("%a %d %b", tz=zone))
        if length <= datetime.timedelta(days=8):
            axes.xaxis.set_minor_locator(dates.HourLocator(byhour=(6, 12, 18), tz=zone))
    else:
        axes.xaxis.set_major_locator(dates.AutoDateLocator(tz=zone))
        axes.xaxis.set_major_formatter(dates.DateFormatter("%a %H:%M", tz=zone))
    axes.set_xlim(dates.date2num(plan.run.traffic.start), dates.date2num(plan.run.traffic.end))
    axes.set_xlabel(f"time in {zone}; of minutes drawn as one point, the worst")
