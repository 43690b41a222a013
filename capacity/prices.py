"""List prices and what a month is taken to contain: read from `prices.toml`."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from capacity.declared_figures import Table, read_figures
from capacity.errors import CapacityError
from stacks.settings import Architecture

FILE = Path(__file__).parent / "prices.toml"

MIB_PER_GIGABYTE = 1024
"""Fargate bills what it calls a gigabyte by 1024 MiB."""


class Price(Table):
    """A list price in US dollars; its unit is the end of its name."""

    price: float = Field(ge=0)
    source: str = Field(pattern=r"^https://aws\.amazon\.com/")


class Currency(Table):
    """How dollars become euros, and when that held."""

    eur_per_usd: float = Field(gt=0.2, lt=5)
    as_of: datetime.date


class Assumptions(Table):
    """What neither templates nor traffic say. Kilobytes are 1000 bytes, gigabytes a million of those."""

    kilobytes_through_nat_per_request: float = Field(ge=0)
    kilobytes_through_endpoints_per_request: float = Field(ge=0)
    kilobytes_through_load_balancer_per_request: float = Field(ge=0)
    kilobytes_of_gateway_log_per_request: float = Field(ge=0)
    kilobytes_of_flow_log_per_request: float = Field(ge=0)
    kilobytes_of_access_log_per_request: float = Field(ge=0)
    kilobytes_of_firewall_log_per_request: float = Field(ge=0)
    minimum_cache_gigabytes: float = Field(ge=0)
    cache_units_per_request: float = Field(ge=0)
    dns_queries_per_task_per_minute: float = Field(ge=0)
    container_insights_metrics: float = Field(ge=0)
    container_insights_metrics_per_task: float = Field(ge=0)
    table_reads_per_task_per_minute: float = Field(ge=0)


class Prices(Table):
    """The price list."""

    region: str
    as_of: datetime.date
    hours_per_month: int = Field(gt=0)
    currency: Currency
    usd: Mapping[str, Price]
    assumptions: Assumptions

    def eur(self, name: str) -> float:
        """The price called `name`, in euros."""
        try:
            return self.usd[name].price * self.currency.eur_per_usd
        except KeyError:
            raise CapacityError(
                f"{FILE}: usd.{name}", why="there is no such price", fix="add it with its source"
            ) from None

    def task_hour_eur(self, architecture: Architecture, *, cpu_units: int, memory_mib: int) -> float:
        """One hour of one task, in euros."""
        vcpu_hour = self.eur(f"fargate_{architecture}_vcpu_hour")
        gigabyte_hour = self.eur(f"fargate_{architecture}_gigabyte_hour")
        return cpu_units / 1024 * vcpu_hour + memory_mib / MIB_PER_GIGABYTE * gigabyte_hour


def read_prices(file: Path = FILE) -> Prices:
    """Read the price list.

    Raises:
        CapacityError: where the file is missing or says something impossible.
    """
    return read_figures(Prices, file)
