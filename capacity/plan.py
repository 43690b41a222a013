"""One scaling section, planned: the run, what it costs and what is to be said about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from capacity.findings import Finding
from capacity.judgement import judge
from capacity.prices import Prices
from capacity.simulation import Run, simulate
from capacity.summary import Period, whole
from capacity.throughput import Throughput
from capacity.traffic import Traffic
from stacks.settings import Architecture, Scaling


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is shown: `file` is where the section stands."""

    file: Path
    run: Run
    total: Period
    findings: Sequence[Finding]
    task_hour_eur: float
    hours_per_month: int

    @property
    def eur_per_month(self) -> float:
        """Tasks alone, were every month like the traffic planned with."""
        return self.total.mean_tasks * self.hours_per_month * self.task_hour_eur


def make_plan(
    file: Path,
    scaling: Scaling,
    traffic: Traffic,
    *,
    architecture: Architecture,
    throughput: Throughput,
    prices: Prices,
) -> Plan:
    """Simulate, judge and price a scaling section."""
    run = simulate(scaling, throughput.of_task(scaling.task_cpu_units), traffic)
    return Plan(
        file=file,
        run=run,
        total=whole(run),
        findings=judge(run),
        task_hour_eur=prices.task_hour_eur(
            architecture, cpu_units=scaling.task_cpu_units, memory_mib=scaling.task_memory_mib
        ),
        hours_per_month=prices.hours_per_month,
    )
