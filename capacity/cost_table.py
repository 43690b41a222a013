"""The costs as Markdown tables that also read well in a terminal."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from capacity.costs import NETWORK_PARTS, Part, Use, parts
from capacity.inventory import Inventory
from capacity.plan_table import wrapped
from capacity.prices import Prices
from stacks.settings import Environment


@dataclass(frozen=True, kw_only=True)
class Costed:
    """An environment, what it consists of, and its use at rest and as planned."""

    environment: Environment
    inventory: Inventory
    idle: Use
    planned: Use


def describe_costs(costed: Sequence[Costed], prices: Prices) -> str:
    """Both tables and what they rest on."""
    return "\n\n".join(
        [
            "\n".join(_table(_by_part(costed, prices))),
            "\n".join(_uses(costed)),
            f"The network of {costed[-1].environment.name} in other profiles:",
            "\n".join(_table(_by_profile(costed[-1], prices))),
            "\n".join(wrapped(line) for line in _basis(prices)),
        ]
    )


def _by_part(costed: Sequence[Costed], prices: Prices) -> Iterator[Sequence[str]]:
    header = ["EUR a month"]
    columns: list[Sequence[Part]] = []
    for one in costed:
        header += [one.environment.name, "planned"]
        columns += [parts(one.environment, one.inventory, use, prices) for use in (one.idle, one.planned)]
    yield header
    for row in zip(*columns, strict=True):
        if any(part.eur >= 0.5 for part in row):
            yield [row[0].name, *(_eur(part.eur) for part in row)]
    yield ["sum", *(_eur(sum(part.eur for part in column)) for column in columns)]


def _uses(costed: Sequence[Costed]) -> Iterator[str]:
    yield "First column: fewest tasks, no requests. Planned: the synthetic week of `make plan`, all year:"
    for one in costed:
        yield (
            f"* {one.environment.name}: {one.planned.requests_per_month / 1e6:.1f} million requests a month, "
            f"{one.planned.tasks:.2f} tasks on average"
        )


def _by_profile(one: Costed, prices: Prices) -> Iterator[Sequence[str]]:
    zones = len(one.environment.deployment.availability_zones)
    present = one.inventory
    per_zone = {"nat_gateways": zones, "public_addresses": zones}
    single = {"nat_gateways": 1, "public_addresses": 1}
    profiles = (
        (
            "firewall, a NAT gateway a zone",
            dataclasses.replace(present, firewall_endpoints=zones, **per_zone),
        ),
        ("no firewall, a NAT gateway a zone", dataclasses.replace(present, firewall_endpoints=0, **per_zone)),
        ("no firewall, one NAT gateway", dataclasses.replace(present, firewall_endpoints=0, **single)),
    )
    yield ["EUR a month", "NAT", "firewall", "endpoints", "at rest", "planned"]
    for name, inventory in profiles:
        at_rest, planned = (
            parts(one.environment, inventory, use, prices)[:NETWORK_PARTS] for use in (one.idle, one.planned)
        )
        nat, firewall, _, endpoints, _ = at_rest
        sums = (sum(part.eur for part in bill) for bill in (at_rest, planned))
        yield [name, *(_eur(value) for value in (nat.eur, firewall.eur, endpoints.eur, *sums))]


def _basis(prices: Prices) -> Iterator[str]:
    yield (
        f"List prices of {prices.region} as of {prices.as_of}, declared in `capacity/prices.toml` with their "
        f"pages and to be checked there; 1 USD = {prices.currency.eur_per_usd:g} EUR "
        f"({prices.currency.as_of}); {prices.hours_per_month} h a month."
    )
    yield "Not counted: tax, model tokens, guardrail text, data transfer out of the region, free tiers."


def _table(rows: Iterator[Sequence[str]]) -> Iterator[str]:
    cells = list(rows)
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    for number, row in enumerate(cells):
        padded = (
            text.ljust(width) if not column else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        yield f"| {' | '.join(padded)} |"
        if not number:
            rules = (
                "-" * width if not column else "-" * (width - 1) + ":" for column, width in enumerate(widths)
            )
            yield f"| {' | '.join(rules)} |"


def _eur(value: float) -> str:
    return f"{value:.0f}" if value >= 0.5 or not value else "<1"
