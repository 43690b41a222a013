"""The model registry as declared and as deployed: check, plan, apply."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.control.registry import RegistryItem
from operations.declared import Key, declaration_problems, declared_models, old_prices
from operations.drift import Drift, FieldDifference, drift_between
from operations.environment import ENVIRONMENTS, Account, settings_of
from operations.errors import DONE, REFUSED, OperationError
from operations.stores import operator, registered, registry_changes, route_set_in_force
from operations.table_output import table

NEW_VERSION = "restore each declaration and declare the change as a new version"


@dataclass(frozen=True)
class Comparison:
    """How an account differs from the repository, and what is wrong in the account by itself."""

    drift: Drift
    problems: tuple[str, ...]

    @property
    def wrong(self) -> bool:
        """Whether there is more than what operators move while the system runs."""
        return bool(self.drift.absent or self.drift.changed or self.problems)


def check_declarations(names: Sequence[str], today: datetime.date) -> int:
    """Judge what is declared for some environments, without any account."""
    problems = [each for name in names for each in declaration_problems(ENVIRONMENTS, settings_of(name))]
    for problem in dict.fromkeys(problems):
        print(f"wrong: {problem}")
    declared = declared_models(ENVIRONMENTS)
    for reminder in old_prices(declared, today):
        print(f"note: {reminder}")
    if not problems:
        print(f"{len(declared.items)} declared versions, route sets of {', '.join(names)}: no mistakes")
    return REFUSED if problems else DONE


def check_deployed(account: Account, today: datetime.date) -> int:
    """Judge what is declared for one environment, and how what is deployed differs from it."""
    status = check_declarations((account.name,), today)
    found = compare(account)
    _show(found)
    if not found.wrong:
        print(f"{account.name}: what is declared is deployed, as it is declared")
    return REFUSED if found.wrong else status


def plan(account: Account) -> int:
    """Show what `apply` would do."""
    return REFUSED if _planned(account).changed else DONE


def apply(account: Account, why: str, confirmed: Callable[[str], bool]) -> int:
    """Write the versions that are declared and absent; a deployed one is never changed."""
    author = operator(account, why)
    drift = _planned(account)
    if drift.changed:
        raise OperationError(
            f"nothing was written to {account.name}: a deployed version is immutable, "
            f"and these differ: {_named(drift.changed)}",
            remedy=NEW_VERSION,
        )
    if not drift.absent:
        return DONE
    if not confirmed(f"Write {_count(drift.absent)} to the registry of {account.name}?"):
        raise OperationError("nothing was written", remedy="answer y, or ask with YES=1")
    changes = registry_changes(account)
    for item in drift.absent:
        written = changes.register(item, author)
        print(f"{'written' if written else 'was there'}: {item.key} version {item.version}")
    return DONE


def compare(account: Account) -> Comparison:
    """What is declared against what is deployed.

    Raises:
        OperationError: what is declared has mistakes, so that nothing can be compared with it.
    """
    declared = declared_models(ENVIRONMENTS)
    if declared.problems:
        raise OperationError("; ".join(declared.problems), remedy="correct these first")
    deployed = registered(account)
    in_force = route_set_in_force(account)
    spoken_against = in_force.problems(in_force.read().text)
    problems = (*deployed.problems, *(f"route set in force: {each}" for each in spoken_against))
    return Comparison(drift_between(declared.items, deployed.value), problems)


def _planned(account: Account) -> Drift:
    found = compare(account)
    _show(found)
    for item in found.drift.absent:
        print(f"to write: {item.key} version {item.version} as {item.lifecycle}")
    if not found.drift.absent and not found.drift.changed:
        print(f"nothing to write to {account.name}: every declared version is deployed")
    return found.drift


def _show(found: Comparison) -> None:
    if found.drift.changed:
        print("Deployed versions that differ from their declaration:")
        print(_difference_table(found.drift.changed))
    if found.drift.moved:
        print("Moved by operators since they were declared, which is as it should be:")
        print(_difference_table(found.drift.moved))
    for item in found.drift.absent:
        print(f"not deployed: {item.key} version {item.version}")
    for key, version in found.drift.undeclared:
        print(f"note: {key} version {version} was registered by hand and is declared nowhere")
    for problem in found.problems:
        print(f"wrong: {problem}")


def _difference_table(differences: Sequence[FieldDifference]) -> str:
    rows = [(*each.key, each.field, each.declared, each.deployed) for each in differences]
    return table(("model", "version", "field", "declared", "deployed"), rows)


def _named(differences: Sequence[FieldDifference]) -> str:
    keys: dict[Key, None] = dict.fromkeys(each.key for each in differences)
    return ", ".join(f"{key} version {version}" for key, version in keys)


def _count(items: Sequence[RegistryItem]) -> str:
    return f"{len(items)} version{'' if len(items) == 1 else 's'}"
