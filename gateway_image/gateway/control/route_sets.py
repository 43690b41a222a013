"""The route set in force, read from its SSM parameter."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gateway.control.registry import RegistryView
from gateway.control.snapshot import Loaded
from gateway.routing.policy import RouteSet, parse_route_set

if TYPE_CHECKING:
    from types_boto3_ssm.client import SSMClient


class RouteSetParameter:
    """One SSM parameter. `load` blocks.

    `registry` gives what is registered, or None while that is not known.
    """

    def __init__(self, client: SSMClient, name: str, registry: Callable[[], RegistryView | None]) -> None:
        self._client = client
        self._name = name
        self._registry = registry

    def load(self, previous: RouteSet | None) -> Loaded[RouteSet]:
        """Read and validate the parameter.

        A route set of which no model is of use does not replace the one before. Where there is none before,
        or the registry is not read yet, it is taken up all the same, and judged at the next refresh.

        Raises:
            ValueError: it is no route set, and there is none before to keep.
        """
        text = self._client.get_parameter(Name=self._name)["Parameter"]["Value"]
        try:
            route_set = parse_route_set(text)
        except ValueError as error:
            if previous is None:
                raise
            return Loaded(previous, (f"{self._name}: {error}",))
        registry = self._registry()
        if registry is None:
            return Loaded(route_set)
        problems = _useless_models(route_set, registry)
        if len(problems) < len(route_set.models):
            return Loaded(route_set, tuple(f"{self._name}: {problem}" for problem in problems))
        refused = f"{self._name}: no model of {route_set.policy_version} can answer: {'; '.join(problems)}"
        return Loaded(previous or route_set, (refused,))


def _useless_models(route_set: RouteSet, registry: RegistryView) -> list[str]:
    """What is wrong with each model that no request can be sent to."""
    problems: list[str] = []
    for reference in route_set.models:
        item = registry.get((reference.key, reference.version))
        if item is None:
            problems.append(f"{reference.key} version {reference.version} is not registered")
        elif not item.lifecycle.routable:
            problems.append(f"{reference.key} version {reference.version} is {item.lifecycle}")
    return problems
