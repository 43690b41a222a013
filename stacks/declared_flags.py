"""The flags that the gateway declares, as `environments/flags.json` has them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FLAGS_FILE = "environments/flags.json"
"""Relative to the project. It is generated: `python -m gateway schemas`."""

KILL_SWITCH = "kill-switch."
LONGEST_DESCRIPTION = 1024

_SWITCH_PATTERN = "^(off|on)$"
_WHOLE_PATTERN = "^-?[0-9]{1,9}$"
_NUMBER_PATTERN = r"^-?[0-9]{1,9}(\.[0-9]{1,3})?$"


@dataclass(frozen=True, kw_only=True)
class DeclaredFlag:
    """One flag: the value it is created with, and the pattern that Parameter Store holds values to.

    The pattern knows the kind alone. Bounds and sequences are `lambdas/flag_update`'s to judge.
    """

    name: str
    default: str
    allowed_pattern: str
    description: str

    @property
    def is_kill_switch(self) -> bool:
        """Whether it stops a provider, or all of them."""
        return self.name.startswith(KILL_SWITCH)


def load_flags(project: Path) -> Sequence[DeclaredFlag]:
    """Every flag, in the order of the file."""
    declared: dict[str, dict[str, Any]] = json.loads((project / FLAGS_FILE).read_text(encoding="utf-8"))
    return [_flag(name, members) for name, members in declared.items()]


def _flag(name: str, members: Mapping[str, Any]) -> DeclaredFlag:
    return DeclaredFlag(
        name=name,
        default=members["default"],
        allowed_pattern=_pattern(members),
        description=f"{members['meaning']} {_bounds(members)}"[:LONGEST_DESCRIPTION],
    )


def _pattern(members: Mapping[str, Any]) -> str:
    if members["kind"] == "enum":
        return f"^({'|'.join(members['values'])})$"
    if members["kind"] in ("switch", "boolean"):
        return _SWITCH_PATTERN
    return _WHOLE_PATTERN if members.get("whole") else _NUMBER_PATTERN


def _bounds(members: Mapping[str, Any]) -> str:
    if members["kind"] in ("switch", "boolean"):
        return "One of off, on."
    if members["kind"] == "enum":
        return f"One of {', '.join(members['values'])}."
    return f"From {members['minimum']} to {members['maximum']}."
