"""`make plan`: read the inputs, plan, print, draw."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from capacity.errors import CapacityError
from capacity.plan import Plan, make_plan
from capacity.plan_comparison import compare
from capacity.plan_table import describe
from capacity.prices import read_prices
from capacity.sections import ENVIRONMENTS, read_environment, read_other_scaling
from capacity.synthetic_traffic import synthetic_week
from capacity.throughput import Throughput, read_throughput
from capacity.traffic import Traffic
from capacity.traffic_csv import HIGHEST_REQUESTS_PER_S, read_traffic
from stacks.settings import Scaling

SYNTHETIC_SHARE = 0.5
"""Without a given peak the synthetic week has this share of what the most tasks should take."""


@dataclass(frozen=True, kw_only=True)
class PlanRequest:
    """What is asked for; `pictures` is the folder for PNG and SVG, None for none."""

    environment: str
    traffic: Path | None = None
    compare: Path | None = None
    peak_requests_per_s: float | None = None
    every_hour: bool = False
    brief: bool = False
    pictures: Path | None = None


def run_plan(request: PlanRequest) -> None:
    """Plan and show.

    Raises:
        CapacityError, SettingsError: where an input cannot be used.
    """
    throughput = read_throughput()
    plans = make_plans(request, throughput)
    if len(plans) == 1:
        print(describe(plans[0], throughput, every_hour=request.every_hour, brief=request.brief))
    else:
        print(compare(plans, throughput, brief=request.brief))
    if request.pictures is not None:
        from capacity.plan_picture import draw  # takes a second to load

        for file in draw(plans, request.pictures / request.environment):
            print(f"\nPicture: {file}" if file.suffix == ".png" else f"         {file}")


def make_plans(request: PlanRequest, throughput: Throughput) -> list[Plan]:
    """The environment's plan and, where one is asked for, the other section's under the same traffic."""
    environment = read_environment(request.environment)
    sections = [(Path("environments") / f"{environment.name}.toml", environment.scaling)]
    if request.compare is not None:
        sections.append((request.compare, read_other_scaling(request.compare, environment)))
    traffic = _traffic(request, environment.scaling)
    prices = read_prices()
    return [
        make_plan(
            file,
            scaling,
            traffic,
            architecture=environment.gateway.architecture,
            throughput=throughput,
            prices=prices,
        )
        for file, scaling in sections
    ]


def default_peak(scaling: Scaling) -> float:
    """Requests/s at which the synthetic week tries a section without overwhelming it."""
    return SYNTHETIC_SHARE * scaling.tasks_maximum * scaling.requests_per_task_per_minute / 60


def _traffic(request: PlanRequest, scaling: Scaling) -> Traffic:
    if request.traffic is not None:
        if request.peak_requests_per_s is not None:
            raise CapacityError(
                f"PEAK={request.peak_requests_per_s:g}",
                why="it shapes the synthetic week, and TRAFFIC is given",
                fix="leave one of them out",
            )
        return read_traffic(request.traffic)
    peak = request.peak_requests_per_s
    if peak is None:
        return synthetic_week(default_peak(scaling))
    if not (math.isfinite(peak) and 0 < peak <= HIGHEST_REQUESTS_PER_S):
        raise CapacityError(
            f"PEAK={peak:g}", why="it is no load", fix="give requests a second, e.g. PEAK=500"
        )
    return synthetic_week(peak)


__all__ = ["ENVIRONMENTS", "PlanRequest", "default_peak", "make_plans", "run_plan"]
