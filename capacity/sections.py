"""The environment a plan is made for, and the other scaling section it is compared with."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from pathlib import Path

from capacity.errors import CapacityError
from stacks.settings import Environment, Mistake, Scaling, SettingsError, load

ENVIRONMENTS = Path(__file__).parent.parent / "environments"


def read_environment(name: str) -> Environment:
    """The declared environment called `name`.

    Raises:
        SettingsError: where there is none, or its file has mistakes.
    """
    return load(_file_of(name))


def read_other_scaling(file: Path, environment: Environment) -> Scaling:
    """The scaling section of `file`, judged as if it stood in the environment's own file.

    A complete section stands for itself; one that lacks required keys says what differs, and the rest is the
    environment's.

    Raises:
        CapacityError: where there is no such section.
        SettingsError: listing every mistake in it.
    """
    section = _scaling_of(file)
    required = {name for name, field in Scaling.model_fields.items() if field.is_required()}
    if not required <= section.keys():
        section = {**_scaling_of(_file_of(environment.name)), **section}
    try:
        return load(_file_of(environment.name), scaling=section).scaling
    except SettingsError as error:
        raise SettingsError([_placed(mistake, file) for mistake in error.mistakes]) from error


def _placed(mistake: Mistake, file: Path) -> Mistake:
    """A mistake where it can be corrected: what is no part of the section stands in the environment's."""
    return dataclasses.replace(mistake, file=file) if mistake.key.startswith("scaling") else mistake


def _file_of(name: str) -> Path:
    return ENVIRONMENTS / f"{name}.toml"


def _scaling_of(file: Path) -> Mapping[str, object]:
    try:
        section = tomllib.loads(file.read_text(encoding="utf-8")).get("scaling")
    except OSError as error:
        raise CapacityError(
            str(file), why=f"it cannot be read: {error.strerror}", fix="give COMPARE an existing TOML file"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CapacityError(
            str(file), why=f"it is no TOML: {error}", fix="correct the syntax at that place"
        ) from error
    if not isinstance(section, dict) or not section:
        raise CapacityError(
            str(file),
            why="it has no section [scaling]",
            fix="copy the section of an environment file, or write [scaling] and the keys that differ",
        )
    return section
