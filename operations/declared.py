"""What the repository declares: model versions and route sets, read with the gateway's own types."""

from __future__ import annotations

import datetime
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gateway.control.registry import RegistryItem
from gateway.control.route_set_judgement import route_set_problems
from gateway.routing.policy import RouteSet
from operations.errors import OperationError
from stacks.settings import Environment

PRICES_HOLD_DAYS = 180
"""After so long a price should be looked up again: providers change theirs a few times a year."""

Key = tuple[str, str]


@dataclass(frozen=True)
class DeclaredModels:
    """The readable declarations by (`provider#model`, version), and what is wrong with the others."""

    items: Mapping[Key, RegistryItem]
    problems: tuple[str, ...]


def declared_models(folder: Path) -> DeclaredModels:
    """Every version that `folder`/models declares."""
    items: dict[Key, RegistryItem] = {}
    problems: list[str] = []
    for file in sorted((folder / "models").glob("*.toml")):
        try:
            item = msgspec.convert(_document(file), RegistryItem)
        except (ValueError, OSError) as error:
            problems.append(f"{file.name}: {error}; follow environments/models/schema.json")
            continue
        key = (item.key, item.version)
        if key in items:
            problems.append(f"{file.name}: {item.key} version {item.version} is declared twice; keep one")
        items.setdefault(key, item)
    return DeclaredModels(items, tuple(problems))


def declared_route_set(folder: Path, settings: Environment) -> RouteSet:
    """The route set of an environment, less the models of providers that it does not enable.

    Raises:
        OperationError: it is unreadable, or no route set.
    """
    return read_route_set(folder / "route-sets" / f"{settings.routing.route_set}.toml", settings)


def read_route_set(file: Path, settings: Environment) -> RouteSet:
    """A route set from a TOML file or, by its ending, a JSON file, less what the environment does not enable.

    Raises:
        OperationError: it is unreadable, or no route set.
    """
    try:
        document = _document(file)
        models = document.get("models")
        if isinstance(models, list):
            document["models"] = [each for each in models if _enabled(each, settings)]
        return msgspec.convert(document, RouteSet)
    except (ValueError, OSError) as error:
        raise OperationError(
            f"{file} is no route set: {error}", remedy="follow environments/route-sets/schema.json"
        ) from None


def declaration_problems(folder: Path, settings: Environment) -> Iterator[str]:
    """Everything that speaks against deploying what is declared for one environment."""
    declared = declared_models(folder)
    yield from declared.problems
    try:
        route_set = declared_route_set(folder, settings)
    except OperationError as error:
        yield str(error)
        return
    eu_only = settings.deployment.eu_only
    for problem in route_set_problems(route_set, declared.items, eu_only=eu_only):
        yield f"route set {route_set.policy_version} of {settings.name}: {problem}"


def old_prices(declared: DeclaredModels, today: datetime.date) -> Iterator[str]:
    """Prices that should be looked up again; a reminder, no mistake."""
    for (key, version), item in sorted(declared.items.items()):
        age_days = (today - item.price.as_of).days
        if item.lifecycle.routable and age_days > PRICES_HOLD_DAYS:
            yield (
                f"the price of {key} version {version} was looked up {age_days} days ago; look it up again "
                "and declare a new version if it has changed"
            )


def _document(file: Path) -> dict[str, object]:
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".json":
        return msgspec.json.decode(text, type=dict[str, object])
    return tomllib.loads(text)


def _enabled(reference: object, settings: Environment) -> bool:
    """Whether a reference is of an enabled provider; what is no reference is left for the type to refuse."""
    key = reference.get("key") if isinstance(reference, dict) else None
    return not isinstance(key, str) or key.split("#")[0] in settings.enabled_providers
