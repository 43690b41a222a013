"""Whether what a route set names is there, may be routed to, and stays where it must."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import cast

from lambdas.registry_guard.schema import read_schema, violations
from lambdas.registry_guard.values import SORT_KEY, Item, Key, name_of

NOT_ROUTED_TO = ("draft", "retired")


def references(text: str) -> tuple[Key, ...]:
    """The versions that a route set names.

    Raises:
        ValueError: it is no route set.
    """
    route_set = json.loads(text)
    if found := violations(route_set, read_schema("route-sets")):
        raise ValueError("; ".join(map(str, found)))
    return tuple((model["key"], model[SORT_KEY]) for model in route_set["models"])


def reference_problems(named: tuple[Key, ...], known: Mapping[Key, Item], *, eu_only: bool) -> Iterator[str]:
    """One text for each version that must not be named."""
    for key in named:
        item = known.get(key)
        if item is None:
            yield f"{name_of(key)} is not registered"
            continue
        if item.get("lifecycle") in NOT_ROUTED_TO:
            yield f"{name_of(key)} is {item['lifecycle']}"
        residency = cast("Mapping[str, object]", item.get("residency") or {})
        for fact in ("eu_processing", "eu_licence"):
            if eu_only and residency.get(fact) is not True:
                yield f"{name_of(key)} has residency.{fact} false, and deployment.eu_only holds"
