"""What is wrong with an environment file, in a form an operator can act on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class Absent:
    """The value of a key that is not in the file."""

    def __repr__(self) -> str:
        return "(not set)"


ABSENT = Absent()


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One wrong setting, before it is known in which file it stands.

    `key` is dotted, list positions counted from 0: `scaling.scheduled_floors.0.schedule`.
    """

    key: str
    value: object
    reason: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """One wrong setting: where it stands, what it says, why that is wrong and what would be right."""

    file: Path
    key: str
    value: object
    reason: str
    remedy: str

    def __str__(self) -> str:
        return (
            f"{self.file}: {self.key} = {_as_text(self.value)}\n"
            f"    why: {self.reason}\n"
            f"    fix: {self.remedy}"
        )


class SettingsError(Exception):
    """An environment that cannot be used; `mistakes` lists everything wrong with it."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__(str(self))

    def __str__(self) -> str:
        count = len(self.mistakes)
        heading = f"{count} mistake{'' if count == 1 else 's'} in the settings:"
        return "\n".join([heading, *(str(mistake) for mistake in self.mistakes)])


def _as_text(value: object) -> str:
    if isinstance(value, Absent):
        return repr(value)
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 120 else f"{text[:117]}…"
