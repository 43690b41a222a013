"""The registered versions: a table of them, and their way from draft to retired."""

from __future__ import annotations

from gateway.control.audit import Action
from gateway.control.lifecycle import MOVES
from gateway.control.registry import Lifecycle, RegistryItem
from gateway.routing.policy import parse_route_set
from operations.environment import Account
from operations.errors import DONE, REFUSED, OperationError
from operations.stores import operator, registered, registry_changes, registry_table, route_set_in_force
from operations.table_output import table

HEADINGS = ("model", "version", "lifecycle", "routed", "context", "in", "out", "price of", "EU")
MICRO = 1_000_000


def list_models(account: Account) -> int:
    """A line for each version; 1 where one cannot be read."""
    loaded = registered(account)
    routed = _routed(account)
    print(table(HEADINGS, [_row(item, key in routed) for key, item in sorted(loaded.value.items())]))
    print("in, out: EUR per million tokens. EU: processed and licensed there.")
    for problem in loaded.problems:
        print(f"wrong: {problem}")
    return REFUSED if loaded.problems else DONE


def move(account: Account, action: Action, key: str, version: str, why: str) -> int:
    """Promote, deprecate, retire or reactivate one version."""
    author = operator(account, why)
    item = registry_table(account).get(key, version)
    if item is None:
        raise OperationError(
            f"{key} version {version} is not registered", remedy=f"make models ENV={account.name} lists all"
        )
    made = registry_changes(account).move(
        key,
        version,
        _destination(item, action),
        in_force=lambda: route_set_in_force(account).route_set(),
        author=author,
    )
    print(f"{key} version {version}: {made.before} → {made.after}")
    return DONE


def _destination(item: RegistryItem, action: Action) -> Lifecycle:
    for state, name in MOVES[item.lifecycle].items():
        if name is action:
            return state
    possible = ", ".join(sorted({str(name) for name in MOVES[item.lifecycle].values()}))
    raise OperationError(
        f"{item.key} version {item.version} is {item.lifecycle}, and there is no {action} from there",
        remedy=f"possible: {possible}" if possible else "that is the end; declare a new version",
    )


def _routed(account: Account) -> set[tuple[str, str]]:
    """The versions that the route set in force names; none where it cannot be read."""
    try:
        route_set = parse_route_set(route_set_in_force(account).read().text)
    except ValueError:
        return set()
    return {(each.key, each.version) for each in route_set.models}


def _row(item: RegistryItem, routed: bool) -> tuple[object, ...]:
    price, residency = item.price, item.residency
    return (
        item.key,
        item.version,
        item.lifecycle,
        "yes" if routed else "no",
        item.context_window_tokens,
        f"{price.input_micro_per_million_tokens / MICRO:.3f}",
        f"{price.output_micro_per_million_tokens / MICRO:.3f}",
        price.as_of,
        "yes" if residency.eu_processing and residency.eu_licence else "no",
    )
