"""`make costs`: synthesise, count, price, print."""

from __future__ import annotations

import concurrent.futures
import tempfile
from collections.abc import Sequence
from pathlib import Path

from capacity.cost_table import Costed, describe_costs
from capacity.costs import idle_use, planned_use
from capacity.inventory import Inventory, synthesise
from capacity.plan_command import PlanRequest, make_plans
from capacity.prices import read_prices
from capacity.sections import read_environment
from capacity.throughput import read_throughput

ENVIRONMENT_NAMES = ("development", "staging", "production")
"""The environments that live in an account, the largest last."""

PARALLEL = 2


def run_costs() -> None:
    """Print what every environment and every network profile costs.

    Raises:
        CapacityError, SettingsError: where an input cannot be used.
    """
    environments = [read_environment(name) for name in ENVIRONMENT_NAMES]
    throughput, prices = read_throughput(), read_prices()
    costed = [
        Costed(
            environment=environment,
            inventory=inventory,
            idle=idle_use(environment),
            planned=planned_use(make_plans(PlanRequest(environment=environment.name), throughput)[0]),
        )
        for environment, inventory in zip(environments, _inventories(ENVIRONMENT_NAMES), strict=True)
    ]
    print(describe_costs(costed, prices))


def _inventories(names: Sequence[str]) -> Sequence[Inventory]:
    with (
        tempfile.TemporaryDirectory() as folder,
        concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool,
    ):
        return list(pool.map(lambda name: synthesise(name, Path(folder) / name), names))
