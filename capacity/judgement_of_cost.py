"""What a scaling section pays for without need, or says without effect, while the latency target holds."""

from __future__ import annotations

import datetime
import itertools
import math
from collections.abc import Callable, Iterator, Sequence

from capacity.episodes import misses, tasks_by_policy, tasks_for
from capacity.findings import Finding, Severity, minutes_text
from capacity.setting_keys import (
    CPU_KEY,
    IN_FLIGHT_KEY,
    MAXIMUM_KEY,
    REQUESTS_KEY,
    SCALE_IN_KEY,
    SCALE_OUT_KEY,
)  # fmt: skip
from capacity.simulation import Outcome, Run
from capacity.target_tracking import METRIC_AGE_S, PERIOD_S

FLAPPING_MINUTES = 15
FLAPPING_TIMES = 3
OVERSHOOT = 1.25
FAR_EARLIER = 2.0


def _maximum_is_reached(run: Run) -> Iterator[Finding]:
    """The ceiling cut in and the target held; where it did not hold, that has been said."""
    maximum = run.scaling.tasks_maximum
    cut = [outcome for outcome in run.outcomes if outcome.tasks_wanted > maximum]
    beyond = [outcome for outcome in cut if tasks_for(run, outcome.minute) > maximum]
    if beyond and not any(misses(run, outcome) for outcome in beyond):
        busiest = max(beyond, key=lambda outcome: outcome.requests_per_s)
        yield Finding(
            severity=Severity.NOTE,
            key=MAXIMUM_KEY,
            value=maximum,
            at=beyond[0].at,
            why=f"in {minutes_text(len(beyond))} scaling wanted more, up to "
            f"{tasks_for(run, busiest.minute)}; the latency target held, at "
            f"{busiest.cpu_percent:.0f} % CPU",
            fix="leave it as the ceiling of cost, or raise it before traffic grows",
        )


def _steps_up_overshoot(run: Run) -> Iterator[Finding]:
    if run.scaling.scale_out_cooldown_s >= METRIC_AGE_S:
        return
    for number, (before, outcome) in enumerate(itertools.pairwise(run.outcomes), start=1):
        if outcome.tasks_desired <= before.tasks_desired:
            continue
        around = run.outcomes[max(0, number - 5) : number + 15]
        needed = max(tasks_for(run, other.minute) for other in around)
        if outcome.tasks_desired > max(outcome.tasks_floor, math.ceil(OVERSHOOT * needed)):
            yield Finding(
                severity=Severity.NOTE,
                key=SCALE_OUT_KEY,
                value=run.scaling.scale_out_cooldown_s,
                at=outcome.at,
                why=f"{outcome.tasks_desired} tasks were started where {needed} do: metrics are "
                f"{METRIC_AGE_S} s old, and the next step up still saw the load before the last",
                fix=f"use {METRIC_AGE_S}; a larger step up goes ahead during the cool-down all the same",
            )
            return


def _tasks_flap(run: Run) -> Iterator[Finding]:
    returns = list(_returns(run.outcomes))
    if len(returns) >= FLAPPING_TIMES:
        yield Finding(
            severity=Severity.NOTE,
            key=SCALE_IN_KEY,
            value=run.scaling.scale_in_cooldown_s,
            at=returns[0].at,
            why=f"{len(returns)} times tasks were stopped and others started within {FLAPPING_MINUTES} min",
            fix=f"raise it to {max(300, 2 * run.scaling.scale_in_cooldown_s)}",
        )


def _returns(outcomes: Sequence[Outcome]) -> Iterator[Outcome]:
    """Steps up soon after a step down."""
    down_at: datetime.datetime | None = None
    for earlier, later in itertools.pairwise(outcomes):
        if later.tasks_desired < earlier.tasks_desired:
            down_at = later.at
        elif later.tasks_desired > earlier.tasks_desired and down_at is not None:
            if later.at - down_at <= datetime.timedelta(minutes=FLAPPING_MINUTES):
                yield later
            down_at = None


def _requests_decide_too_early(run: Run) -> Iterator[Finding]:
    """The request target is a stand-in for CPU and open answers, and should not come long before them."""
    value = run.scaling.requests_per_task_per_minute
    busiest = max(run.outcomes, key=lambda outcome: outcome.requests_per_s).minute
    wanted = tasks_by_policy(run, busiest)
    if not wanted[REQUESTS_KEY]:
        return
    other = max((CPU_KEY, IN_FLIGHT_KEY), key=lambda key: wanted[key])
    lead = wanted[REQUESTS_KEY] / wanted[other]
    if lead > FAR_EARLIER:
        cpu_percent = run.task.cpu_percent(value / PERIOD_S)
        yield Finding(
            severity=Severity.NOTE,
            key=REQUESTS_KEY,
            value=value,
            at=None,
            why=f"it starts another task at {cpu_percent:.0f} % CPU, {lead:.1f} times earlier than {other}, "
            "so CPU is bought to stay idle",
            fix=f"raise it towards {int(value * lead) // 100 * 100}, unless memory is the limit of a task",
        )


def _requests_never_decide(run: Run) -> Iterator[Finding]:
    value, most = run.scaling.requests_per_task_per_minute, PERIOD_S * run.task.station.requests_per_s
    if value > most:
        yield Finding(
            severity=Severity.NOTE,
            key=REQUESTS_KEY,
            value=value,
            at=None,
            why=f"no task can serve more than {most:.0f} a minute, so it never decides",
            fix=f"set it to {most * run.scaling.cpu_target_percent / 100:.0f}, what the CPU target comes to",
        )


RULES: Sequence[Callable[[Run], Iterator[Finding]]] = (
    _maximum_is_reached,
    _steps_up_overshoot,
    _tasks_flap,
    _requests_decide_too_early,
    _requests_never_decide,
)
