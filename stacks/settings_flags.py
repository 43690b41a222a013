"""Where flags are kept beside Parameter Store and DynamoDB."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from stacks.settings_errors import Finding
from stacks.settings_section import Section

REGIONS_WITH_ROOTS = (
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
)
"""Regions whose roots of Amazon RDS are in gateway_image/gateway/control/rds_roots.pem; a test compares."""

_STEP_ACU = 0.5
_MOST_ACU = 256.0


class Flags(Section):
    """The third tier of the flags: Aurora PostgreSQL that scales by itself, off unless it is wished for."""

    database: bool = Field(
        default=False,
        description="A PostgreSQL database as the third tier of flags, for an outage of Parameter Store and "
        "DynamoDB at once. Turning it off deletes the database; where stateful_protection is set it is kept, "
        "outside the deployment.",
    )
    database_minimum_capacity: float = Field(
        default=0.5,
        ge=_STEP_ACU,
        le=_MOST_ACU,
        multiple_of=_STEP_ACU,
        description="Least capacity of each instance in ACU (2 GiB of memory and its share of CPU), in steps "
        "of 0.5. It never pauses: every task reads every five seconds.",
    )
    database_maximum_capacity: float = Field(
        default=2.0,
        ge=1.0,
        le=_MOST_ACU,
        multiple_of=_STEP_ACU,
        description="Most capacity of each instance in ACU, in steps of 0.5: the ceiling of cost.",
    )
    database_instances: int = Field(
        default=2,
        ge=1,
        le=3,
        description="Instances, each in another zone. The first writes; with two another one takes over "
        "within a minute where a zone fails.",
    )
    database_backup_days: int = Field(
        default=7, ge=1, le=35, description="Days to any second of which the database can be restored."
    )


def maximum_not_below_minimum(minimum: float, maximum: float) -> Iterator[Finding]:
    """The bounds of capacity are in order."""
    if maximum < minimum:
        yield Finding(
            key="flags.database_maximum_capacity",
            value=maximum,
            reason=f"it is below flags.database_minimum_capacity, {minimum:g}",
            remedy=f"use {minimum:g} or more",
        )


def instances_fit_zones(database: bool, instances: int, zones: tuple[str, ...]) -> Iterator[Finding]:
    """No two instances share a zone."""
    if database and instances > len(zones):
        yield Finding(
            key="flags.database_instances",
            value=instances,
            reason=f"there are only {len(zones)} zones to put them in",
            remedy=f"use at most {len(zones)}, or name more zones in deployment.availability_zones",
        )


def region_has_roots(database: bool, region: str) -> Iterator[Finding]:
    """The gateway can tell the database from somebody else."""
    if database and region not in REGIONS_WITH_ROOTS:
        yield Finding(
            key="flags.database",
            value=database,
            reason=f"the gateway has no root certificates of Amazon RDS in {region}",
            remedy=f"use one of {', '.join(REGIONS_WITH_ROOTS)}, or set it to false",
        )


def production_survives_a_zone(name: str, database: bool, instances: int) -> Iterator[Finding]:
    """The tier that is left in an outage does not go with one zone."""
    if name == "production" and database and instances == 1:
        yield Finding(
            key="flags.database_instances",
            value=instances,
            reason="in production the loss of one zone must not take the database along",
            remedy="use 2 or more",
        )
