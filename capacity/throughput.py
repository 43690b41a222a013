"""What one task can do: read from `throughput.toml`, scaled to the task's size."""

from __future__ import annotations

import datetime
from pathlib import Path

from pydantic import Field

from capacity.declared_figures import Table, read_figures
from capacity.queueing import Station

FILE = Path(__file__).parent / "throughput.toml"

CPU_UNITS_PER_VCPU = 1024


class GatewayThroughput(Table):
    """How much CPU a request needs and how many CPUs the gateway can use."""

    cpu_ms_per_request: float = Field(gt=0, le=60_000)
    processes: int = Field(ge=1, le=64)
    measured_on: datetime.date
    source: str
    longest_wait_s: float = Field(gt=0, le=120)


class TaskArrival(Table):
    """How long a task takes from the decision to its first request."""

    start_s: int = Field(ge=0, le=3600)
    declared_on: datetime.date
    source: str


class Throughput(Table):
    """The figures every plan rests on, and where they come from."""

    gateway: GatewayThroughput
    task: TaskArrival

    def of_task(self, cpu_units: int) -> TaskThroughput:
        """What a task of `cpu_units` does; 1024 are one vCPU."""
        return TaskThroughput(
            vcpu=cpu_units / CPU_UNITS_PER_VCPU,
            processes=self.gateway.processes,
            cpu_s_per_request=self.gateway.cpu_ms_per_request / 1000,
            longest_wait_s=self.gateway.longest_wait_s,
            start_s=self.task.start_s,
        )


class TaskThroughput(Table):
    """One task: the queue it is, and what its CPU metric can show."""

    vcpu: float
    processes: int
    cpu_s_per_request: float
    longest_wait_s: float
    start_s: int

    @property
    def station(self) -> Station:
        """The queue that a task is. A fraction of a vCPU is one server that takes longer."""
        servers = max(1, min(self.processes, int(self.vcpu)))
        return Station(servers=servers, service_time_s=self.cpu_s_per_request / min(1.0, self.vcpu))

    @property
    def highest_cpu_percent(self) -> float:
        """What CloudWatch shows where the task does all it can; CPU it cannot use stays idle."""
        return self.cpu_percent(self.station.requests_per_s)

    def cpu_percent(self, requests_per_s: float) -> float:
        """The share of the task's reserved CPU that this many requests use."""
        return 100 * requests_per_s * self.cpu_s_per_request / self.vcpu


def read_throughput(file: Path = FILE) -> Throughput:
    """Read the figures.

    Raises:
        CapacityError: where the file is missing or says something impossible.
    """
    return read_figures(Throughput, file)
