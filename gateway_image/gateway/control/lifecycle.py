"""Which states a registered version may be moved between. Pure: what is in force comes as arguments."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from gateway.control.audit import Action
from gateway.control.refusals import TransitionRefusedError
from gateway.control.registry import Lifecycle, RegistryItem
from gateway.routing.policy import RouteSet

MOVES: Mapping[Lifecycle, Mapping[Lifecycle, Action]] = MappingProxyType(
    {
        Lifecycle.DRAFT: {Lifecycle.CANARY: Action.PROMOTE, Lifecycle.RETIRED: Action.RETIRE},
        Lifecycle.CANARY: {Lifecycle.ACTIVE: Action.PROMOTE, Lifecycle.RETIRED: Action.RETIRE},
        Lifecycle.ACTIVE: {Lifecycle.DEPRECATED: Action.DEPRECATE, Lifecycle.RETIRED: Action.RETIRE},
        Lifecycle.DEPRECATED: {Lifecycle.ACTIVE: Action.REACTIVATE, Lifecycle.RETIRED: Action.RETIRE},
        Lifecycle.RETIRED: {},
    }
)
"""State → the states it may be left for, and what that is called. Retired is the end.

What is deprecated is still routed to and may become active again, so only an active version is deprecated:
no way leads past the canary."""


def move_action(item: RegistryItem, to: Lifecycle, in_force: RouteSet | None) -> Action:
    """What moving `item` to `to` is called.

    `in_force` is the route set in force, None where there is none.

    Raises:
        TransitionRefusedError: the move is not allowed.
    """
    name = f"{item.key} version {item.version}"
    allowed = MOVES[item.lifecycle]
    action = allowed.get(to)
    if item.lifecycle is to:
        raise TransitionRefusedError(f"{name} is {to} already")
    if action is None:
        may_become = (
            f"it may become {', '.join(allowed)}" if allowed else "that is the end; put a new version"
        )
        raise TransitionRefusedError(f"{name} is {item.lifecycle} and cannot become {to}; {may_become}")
    if to is Lifecycle.RETIRED and in_force is not None and names_version(in_force, item):
        raise TransitionRefusedError(
            f"{name} cannot be retired: the route set in force, {in_force.policy_version}, names it; "
            "activate one without it first"
        )
    return action


def names_version(route_set: RouteSet, item: RegistryItem) -> bool:
    """Whether `route_set` routes to exactly this version."""
    return any((each.key, each.version) == (item.key, item.version) for each in route_set.models)
