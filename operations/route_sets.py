"""Route sets: what is in force, what was, what is proposed; propose, activate, roll back."""

from __future__ import annotations

from pathlib import Path

from gateway.control.route_set_activation import Activation, Past
from gateway.routing.policy import RouteSet
from operations.declared import declared_route_set, read_route_set
from operations.environment import ENVIRONMENTS, Account
from operations.errors import DONE, REFUSED
from operations.stores import operator, route_set_in_force, route_set_library
from operations.table_output import moment, table

SHOWN_OF_HISTORY = 10


def list_route_sets(account: Account) -> int:
    """In force, history and library; 1 where something speaks against the one in force."""
    store = route_set_in_force(account)
    now = store.read()
    history = store.history()
    problems = store.problems(now.text)
    print("In force, and before (newest first):")
    print(table(("route set", "since", "change"), [_past(each) for each in history[:SHOWN_OF_HISTORY]]))
    if len(history) > SHOWN_OF_HISTORY:
        print(f"and {len(history) - SHOWN_OF_HISTORY} before")
    proposed = route_set_library(account).listed()
    print("Library:")
    print(
        table(("name", "version", "proposed"), [(p.name, p.version, moment(p.proposed_at)) for p in proposed])
    )
    for problem in problems:
        print(f"wrong: {now.policy_version}: {problem}")
    return REFUSED if problems else DONE


def propose(account: Account, file: Path | None, why: str) -> int:
    """Put a route set into the library: that of `file`, or the declared one of this environment."""
    author = operator(account, why)
    route_set = _read(account, file)
    written = route_set_library(account).propose(route_set, author)
    print(f"{route_set.policy_version} {'is' if written else 'was already'} in the library of {account.name}")
    for problem in route_set_in_force(account).problems(_text(account, route_set)):
        print(f"note: it cannot be activated yet: {problem}")
    return DONE


def activate(account: Account, name: str, version: str, why: str) -> int:
    """Put a route set of the library into force."""
    author = operator(account, why)
    text = route_set_library(account).text(name, version)
    return _told(account, route_set_in_force(account).activate(text, author))


def rollback(account: Account, why: str) -> int:
    """Go back to the newest earlier route set that may be in force."""
    return _told(account, route_set_in_force(account).rollback(operator(account, why)))


def _told(account: Account, made: Activation) -> int:
    print(f"{account.name}: {made.before} → {made.after}; replicas take it up within their next refresh")
    if made.overtook:
        print(f"note: {made.overtook} activation of somebody else was replaced; see make route-sets")
    return DONE


def _read(account: Account, file: Path | None) -> RouteSet:
    if file is None:
        return declared_route_set(ENVIRONMENTS, account.settings)
    return read_route_set(file, account.settings)


def _text(account: Account, route_set: RouteSet) -> str:
    return route_set_library(account).text(route_set.name, route_set.version)


def _past(past: Past) -> tuple[object, ...]:
    return past.policy_version, moment(past.activated_at), past.parameter_version
