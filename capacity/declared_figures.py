"""Figures that stand in a TOML file beside the code: read once, checked, or one clear message."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from capacity.errors import CapacityError


class Table(BaseModel):
    """A frozen table that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Figures = TypeVar("Figures", bound=Table)


def read_figures(form: type[Figures], file: Path) -> Figures:
    """Read `file` as a `form`.

    Raises:
        CapacityError: where the file is missing or says something impossible.
    """
    try:
        return form.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise CapacityError(
            str(file), why=str(error.strerror), fix="restore it from the repository"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CapacityError(str(file), why=f"it is no TOML: {error}", fix="correct that place") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise CapacityError(
            f"{file}: {key} = {first['input']}", why=first["msg"], fix="give a value of that form"
        ) from error
