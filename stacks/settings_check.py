"""Everything wrong in the folder of environments: what the files say alone, and what they say together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from stacks.declared_models import DeclaredModel, load_models, read_declaration
from stacks.route_set import load_route_set
from stacks.settings import Environment, environment_names, load
from stacks.settings_errors import Mistake, SettingsError

_EMULATED = ("local", "000000000000")
"""The environment and the account of the embedded cloud, which shares nothing with AWS."""


def mistakes(folder: Path, names: Sequence[str]) -> list[Mistake]:
    """What is wrong with the environments `names`, and with the models and route sets declared for them."""
    found: list[Mistake] = []
    environments: dict[str, Environment] = {}
    for name in sorted({*names, *environment_names(folder)}):
        try:
            environments[name] = load(folder / f"{name}.toml")
        except SettingsError as error:
            found += error.mistakes if name in names else ()
    judged = {name: environments[name] for name in names if name in environments}
    found += _shared_places(folder, judged, environments)
    models, of_models = _models(folder)
    found += of_models
    found += _of_route_sets(folder, judged, models)
    return _without_repetition(found)


def _shared_places(
    folder: Path, judged: Mapping[str, Environment], environments: Mapping[str, Environment]
) -> Iterator[Mistake]:
    for name, environment in judged.items():
        place = (environment.deployment.account, environment.deployment.region)
        others = [
            other
            for other, another in environments.items()
            if other != name and (another.deployment.account, another.deployment.region) == place
        ]
        if others and (name, environment.deployment.account) != _EMULATED:
            yield Mistake(
                file=folder / f"{name}.toml",
                key="deployment.account",
                value=environment.deployment.account,
                reason=f"{', '.join(others)} is in this account and its region {place[1]} as well, and the "
                "model registry has the same name everywhere",
                remedy="give each environment an account, or at least a region, of its own",
            )


def _models(folder: Path) -> tuple[Sequence[DeclaredModel] | None, Sequence[Mistake]]:
    try:
        return load_models(folder / "models"), ()
    except SettingsError as error:
        return None, error.mistakes


def _of_route_sets(
    folder: Path, judged: Mapping[str, Environment], models: Sequence[DeclaredModel] | None
) -> Iterator[Mistake]:
    """Route sets for the environments that use them; where that cannot be judged, their form alone."""
    files = set((folder / "route-sets").glob("*.toml"))
    if models is not None:
        for environment in judged.values():
            file = folder / "route-sets" / f"{environment.routing.route_set}.toml"
            files.discard(file)
            try:
                load_route_set(
                    file,
                    declared=models,
                    enabled_providers=environment.enabled_providers,
                    eu_only=environment.deployment.eu_only,
                )
            except SettingsError as error:
                yield from error.mistakes
    for file in sorted(files):
        try:
            read_declaration(file, file.parent / "schema.json")
        except SettingsError as error:
            yield from error.mistakes


def _without_repetition(found: Sequence[Mistake]) -> list[Mistake]:
    """Environments share models and route sets, and so their mistakes."""
    return list({str(mistake): mistake for mistake in found}.values())
