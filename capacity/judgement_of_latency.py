"""Where a scaling section misses its latency target, or cannot hold it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

from capacity.episodes import HIGHEST_LOAD, Episode, episodes, misses, tasks_by_policy, tasks_that_keep_up
from capacity.findings import Finding, Severity, minutes_text, time_text
from capacity.setting_keys import (
    CPU_KEY,
    LATENCY_KEY,
    MAXIMUM_KEY,
    MINIMUM_KEY,
    SCALE_IN_KEY,
    TASK_CPU_KEY,
)  # fmt: skip
from capacity.simulation import Outcome, Run, policies
from capacity.target_tracking import DATAPOINTS_OUT, METRIC_AGE_S, METRIC_DELAY_S, PERIOD_S

MOST_TASKS = 20
"""What a scaling section takes at most, see `stacks.settings`."""

FLOOR_WATCH_MINUTES = 60


def _providers_alone_are_late(run: Run) -> Iterator[Finding]:
    target_ms = run.scaling.latency_target_ms
    late = [outcome for outcome in run.outcomes if outcome.provider_p95_ms > target_ms]
    if late:
        slowest_ms = max(outcome.provider_p95_ms for outcome in late)
        yield Finding(
            severity=Severity.WARNING,
            key=LATENCY_KEY,
            value=target_ms,
            at=late[0].at,
            why=f"in {minutes_text(len(late))} the providers alone take up to {time_text(slowest_ms)} at the "
            "95th percentile; no number of tasks helps",
            fix="give slow models less weight in the route set, or set a target they can meet",
        )


def _capacity_is_short(run: Run) -> Iterator[Finding]:
    """One finding for each setting to blame, about the occasion that hurt most."""
    blamed: dict[str, list[tuple[Episode, Finding]]] = {}
    for episode in episodes(run):
        finding = _ceiling(run, episode) if _every_task_ran(run, episode) else _too_steep(run, episode)
        blamed.setdefault(finding.key, []).append((episode, finding))
    for occasions in blamed.values():
        _, worst = max(occasions, key=lambda pair: (pair[0].throttled, pair[0].worst.p95_ms))
        others = len(occasions) - 1
        more = f"; {others} more such occasion{'s' if others > 1 else ''}" if others else ""
        yield dataclasses.replace(worst, why=worst.why + more)


def _every_task_ran(run: Run, episode: Episode) -> bool:
    """Whether the ceiling is to blame, not the time it took to get there."""
    full = (o for o in episode.outcomes if o.tasks_in_service >= run.scaling.tasks_maximum)
    return any(tasks_that_keep_up(run, o.requests_per_s) > run.scaling.tasks_maximum for o in full)


def _ceiling(run: Run, episode: Episode) -> Finding:
    needed = tasks_that_keep_up(run, episode.peak_requests_per_s)
    return Finding(
        severity=Severity.WARNING,
        key=MAXIMUM_KEY,
        value=run.scaling.tasks_maximum,
        at=episode.at,
        why=f"{episode.harm}, with every task running: {episode.peak_requests_per_s:.0f} requests/s need "
        f"{needed}",
        fix=f"set it to {needed}" if needed <= MOST_TASKS else _beyond_the_most_tasks(run),
    )


def _beyond_the_most_tasks(run: Run) -> str:
    if run.task.vcpu < run.task.processes:
        return f"set {TASK_CPU_KEY} to {run.task.processes * 1024}"
    return (
        f"shed load at the callers: {MOST_TASKS} tasks are the most, and a larger one gives a process nothing"
    )


def _too_steep(run: Run, episode: Episode) -> Finding:
    first, worst = episode.outcomes[0], episode.worst
    floor = min(tasks_that_keep_up(run, episode.peak_requests_per_s), run.scaling.tasks_maximum)
    key, value, lower = _headroom(run, first, worst)
    reaction_s = DATAPOINTS_OUT * PERIOD_S + METRIC_DELAY_S + run.task.start_s
    return Finding(
        severity=Severity.WARNING,
        key=key,
        value=value,
        at=episode.at,
        why=f"{episode.harm}: load rose to {worst.requests_per_s:.0f} requests/s on "
        f"{first.tasks_in_service} tasks, and more take about {reaction_s} s ({DATAPOINTS_OUT} datapoints, "
        "their delay, the start of a task)",
        fix=f"a floor of {floor} tasks before it where it can be foreseen; else {lower}",
    )


def _headroom(run: Run, first: Outcome, worst: Outcome) -> tuple[str, int, str]:
    """The policy that held the number of tasks, and the target at which they could have taken the load."""
    share = HIGHEST_LOAD * first.tasks_in_service * run.task.station.requests_per_s / worst.requests_per_s
    wanted = tasks_by_policy(run, first.minute)
    key = max(wanted, key=lambda name: wanted[name])
    value = next(int(policy.target) for policy in policies(run.scaling) if policy.key == key)
    lower = int(value * share)
    possible = lower >= (10 if key == CPU_KEY else 1)
    return key, value, f"lower it to {lower}" if possible else f"raise {MINIMUM_KEY}: no target is low enough"


def _floors_are_low(run: Run) -> Iterator[Finding]:
    """The first time each floor was in force and scaling had to catch up too late."""
    seen: set[int] = set()
    for change in run.floors:
        if change.position in seen or change.at < run.traffic.start:
            continue
        first = int((change.at - run.traffic.start).total_seconds() // PERIOD_S)
        watched = run.outcomes[first : first + FLOOR_WATCH_MINUTES]
        missed = [outcome for outcome in watched if misses(run, outcome)]
        if missed and any(outcome.tasks_in_service <= change.tasks_minimum for outcome in missed):
            seen.add(change.position)
            peak = max(outcome.requests_per_s for outcome in watched)
            yield Finding(
                severity=Severity.WARNING,
                key=f"scaling.scheduled_floors.{change.position}.tasks_minimum",
                value=change.tasks_minimum,
                at=missed[0].at,
                why=f"within the hour after it the load rises to {peak:.0f} requests/s",
                fix=f"set it to {min(tasks_that_keep_up(run, peak), run.scaling.tasks_maximum)}",
            )


def _cpu_target_is_unreachable(run: Run) -> Iterator[Finding]:
    reachable = run.task.highest_cpu_percent
    if reachable <= run.scaling.cpu_target_percent:
        yield Finding(
            severity=Severity.WARNING,
            key=CPU_KEY,
            value=run.scaling.cpu_target_percent,
            at=None,
            why=f"a task of {run.scaling.task_cpu_units} CPU units never shows more than {reachable:.0f} %: "
            f"it runs {run.task.processes} process of the gateway, and one uses one vCPU",
            fix=f"set {TASK_CPU_KEY} to 1024 and have more tasks, or the target below {0.8 * reachable:.0f}",
        )


def _cpu_target_leaves_no_time(run: Run) -> Iterator[Finding]:
    """Whether the target itself, reached and held, is too slow."""
    target = run.scaling.cpu_target_percent
    budget_ms = run.scaling.latency_target_ms - max(outcome.provider_p95_ms for outcome in run.outcomes)
    if target >= run.task.highest_cpu_percent or not 0 < budget_ms < _time_for_cpu_ms(run, target):
        return
    fitting = (percent for percent in range(target, 9, -1) if _time_for_cpu_ms(run, percent) <= budget_ms)
    lower = next(fitting, None)
    yield Finding(
        severity=Severity.WARNING,
        key=CPU_KEY,
        value=target,
        at=None,
        why=f"at the target a request needs {time_text(_time_for_cpu_ms(run, target))} for CPU at the 95th "
        f"percentile, and the providers leave {time_text(budget_ms)}",
        fix=f"lower it to {lower}" if lower else f"set {TASK_CPU_KEY} higher",
    )


def _time_for_cpu_ms(run: Run, cpu_percent: int) -> float:
    return 1000 * run.task.station.at(cpu_percent / run.task.highest_cpu_percent).quantile_s(0.95)


def _steps_down_are_hasty(run: Run) -> Iterator[Finding]:
    if run.scaling.scale_in_cooldown_s < METRIC_AGE_S:
        yield Finding(
            severity=Severity.WARNING,
            key=SCALE_IN_KEY,
            value=run.scaling.scale_in_cooldown_s,
            at=None,
            why=f"metrics are {METRIC_AGE_S} s old: a step down is decided on the load before the last one",
            fix=f"use at least {METRIC_AGE_S}, better 300",
        )


RULES: Sequence[Callable[[Run], Iterator[Finding]]] = (
    _providers_alone_are_late,
    _capacity_is_short,
    _floors_are_low,
    _cpu_target_is_unreachable,
    _cpu_target_leaves_no_time,
    _steps_down_are_hasty,
)
