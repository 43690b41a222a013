"""What CloudFormation sends: the versions and the route set that one environment declares."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import cast

from lambdas.custom_resource import RefusedError
from lambdas.registry_guard.item_rules import broken_rules
from lambdas.registry_guard.schema import read_schema, violations
from lambdas.registry_guard.values import PARTITION_KEY, SORT_KEY, Item, Key, name_of

TEXTS = ("TableName", "AuditTable", "Items", "RouteSet", "RouteSetParameter", "EuOnly")


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """The versions one environment declares, the table they belong in, and what is said of its routes.

    Records go to `audit_table`. `route_set` is the text that `route_set_parameter` is born with.
    """

    table_name: str
    audit_table: str
    items: Mapping[Key, Item]
    route_set: str
    route_set_parameter: str
    eu_only: bool


def parse_declaration(properties: object) -> Declaration:
    """Read the custom resource's properties.

    Raises:
        RefusedError: if a property is missing or malformed, an item is no registry item, or two items share
            a key.
    """
    if not isinstance(properties, Mapping):
        raise RefusedError(f"ResourceProperties is missing. Declare {', '.join(TEXTS)}.")
    for name in TEXTS:
        if not isinstance(properties.get(name), str) or not properties[name]:
            raise RefusedError(f"{name} is {properties.get(name)!r}. Declare a text.")
    if properties["EuOnly"] not in ("true", "false"):
        raise RefusedError(f"EuOnly is {properties['EuOnly']!r}. Declare 'true' or 'false'.")
    return Declaration(
        table_name=properties["TableName"],
        audit_table=properties["AuditTable"],
        items=_by_key(_parsed(properties["Items"])),
        route_set=properties["RouteSet"],
        route_set_parameter=properties["RouteSetParameter"],
        eu_only=properties["EuOnly"] == "true",
    )


def _parsed(text: str) -> Sequence[object]:
    try:
        declared = json.loads(text, parse_float=Decimal)
    except ValueError as error:
        raise RefusedError(f"Items is not valid JSON: {error}. Declare a JSON array of items.") from None
    if not isinstance(declared, list):
        raise RefusedError(f"Items is a JSON {type(declared).__name__}. Declare a JSON array of items.")
    return declared


def _by_key(declared: Sequence[object]) -> dict[Key, Item]:
    items: dict[Key, Item] = {}
    problems: list[str] = []
    for position, item in enumerate(declared):
        key = _key(position, item)
        if key in items:
            raise RefusedError(f"{name_of(key)} is declared twice. Keep one declaration of a version.")
        items[key] = cast("Item", item)
        problems += _problems(key, items[key])
    if problems:
        raise RefusedError(
            f"What is declared is no registry item: {'; '.join(problems)}. "
            "Follow environments/models/schema.json; `make registry-check` judges before a deployment."
        )
    return items


def _key(position: int, item: object) -> Key:
    if not isinstance(item, dict):
        raise RefusedError(f"Item {position} is not an object. Declare it as a registry item.")
    partition, sort = item.get(PARTITION_KEY), item.get(SORT_KEY)
    if not (isinstance(partition, str) and partition and isinstance(sort, str) and sort):
        raise RefusedError(
            f"Item {position} needs text in {PARTITION_KEY!r} and {SORT_KEY!r}, "
            f"but has {partition!r} and {sort!r}."
        )
    return partition, sort


def _problems(key: Key, item: Item) -> list[str]:
    fields = {name: value for name, value in item.items() if name != PARTITION_KEY}
    found = [f"{name_of(key)}: {each}" for each in violations(fields, read_schema("models"))]
    if found:
        return found
    if key[0] != (own := f"{item['provider']}#{item['model']}"):
        found.append(f"{name_of(key)}: it is an item of {own}")
    return [*found, *(f"{name_of(key)}: {each}" for each in broken_rules(item))]
