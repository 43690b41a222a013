"""What speaks against activating a route set. Pure, and stricter than what a replica must live with."""

from __future__ import annotations

from gateway.control.registry import RegistryItem, RegistryView
from gateway.routing.policy import MAXIMUM_ROUTE_SET_BYTES, ModelReference, RouteSet, parse_route_set


def route_set_problems(route_set: RouteSet, registry: RegistryView, *, eu_only: bool) -> tuple[str, ...]:
    """Every reason not to activate `route_set`, each with its field; none where it is good."""
    problems: list[str] = []
    for index, reference in enumerate(route_set.models):
        where = f"models[{index}]"
        item = registry.get((reference.key, reference.version))
        if item is None:
            problems.append(f"{where}: {_named(reference)} is not registered; register it, or name another")
            continue
        problems += [f"{where}: {problem}" for problem in _version_problems(reference, item, eu_only)]
    return tuple(problems)


def text_problems(text: str, registry: RegistryView, *, eu_only: bool) -> tuple[str, ...]:
    """Every reason not to put `text` into force, that it is no route set among them."""
    size = len(text.encode())
    if size > MAXIMUM_ROUTE_SET_BYTES:
        return (f"the route set has {size} bytes; a parameter holds {MAXIMUM_ROUTE_SET_BYTES}",)
    try:
        route_set = parse_route_set(text)
    except ValueError as error:
        return (f"it is no route set: {error}",)
    return route_set_problems(route_set, registry, eu_only=eu_only)


def _version_problems(reference: ModelReference, item: RegistryItem, eu_only: bool) -> list[str]:
    problems: list[str] = []
    if not item.lifecycle.routable:
        problems.append(f"{_named(reference)} is {item.lifecycle}; it must be canary, active or deprecated")
    if eu_only and not item.residency.eu_processing:
        problems.append(f"{_named(reference)} is processed outside of the EU, which EU_ONLY forbids")
    if eu_only and not item.residency.eu_licence:
        problems.append(f"{_named(reference)} is not licensed in the EU, which EU_ONLY demands")
    return problems


def _named(reference: ModelReference) -> str:
    return f"{reference.key} version {reference.version}"
