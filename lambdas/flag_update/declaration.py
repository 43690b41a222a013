"""What each flag may be, from `environments/flags.json`: the gateway's own declarations, written down."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FLAGS_FILE = Path(__file__).parents[2] / "environments" / "flags.json"

SWITCH = "switch"
ON, OFF = "on", "off"

LONGEST_TOLD = 40
"""Characters of a wrong text that a reason repeats."""

_WORDS = {
    **dict.fromkeys(("on", "true", "1", "yes"), ON),
    **dict.fromkeys(("off", "false", "0", "no"), OFF),
}
_NUMBER = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,3})?")
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,9}")


class InvalidValueError(ValueError):
    """A text that is no value of its flag: the reason, and what would be one."""


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """One flag, in the words of `environments/flags.json`.

    `evidence` says by value which flag holds the number of decisions that a step up to it takes.
    """

    name: str
    kind: str
    default: str
    meaning: str
    values: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    whole: bool = False
    sequence: tuple[str, ...] = ()
    evidence: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_switch(self) -> bool:
        """Whether it stops something: then the newest change of all tiers counts, not their order."""
        return self.kind == SWITCH

    def read(self, text: str) -> str:
        """The value that `text` says, as the tiers hold it; case and surrounding space do not matter.

        Raises:
            InvalidValueError: it says none.
        """
        word = text.strip().casefold()
        if self.kind in (SWITCH, "boolean"):
            return self._switched(text, word)
        if self.kind == "enum":
            return self._chosen(text, word)
        return self._counted(text, word)

    def _switched(self, text: str, word: str) -> str:
        if word not in _WORDS:
            raise InvalidValueError(f"{told(text)!r} is neither on nor off; put on or off")
        return _WORDS[word]

    def _chosen(self, text: str, word: str) -> str:
        if word not in self.values:
            raise InvalidValueError(f"{told(text)!r} is none of {', '.join(self.values)}; put one of these")
        return word

    def _counted(self, text: str, word: str) -> str:
        kind = "whole number" if self.whole else "number"
        remedy = f"put a {kind} from {self.minimum} to {self.maximum}"
        if not (_WHOLE_NUMBER if self.whole else _NUMBER).fullmatch(word):
            form = "" if self.whole else " with at most three decimals"
            raise InvalidValueError(f"{told(text)!r} is no {kind}{form}; {remedy}")
        value = int(word) if self.whole else float(word) + 0.0  # which makes 0 of -0
        if self.minimum is not None and value < self.minimum:
            raise InvalidValueError(f"{told(text)!r} is below {self.minimum}; {remedy}")
        if self.maximum is not None and value > self.maximum:
            raise InvalidValueError(f"{told(text)!r} is above {self.maximum}; {remedy}")
        return str(value) if self.whole else f"{value:.3f}".rstrip("0").rstrip(".")


def told(text: str) -> str:
    """`text` as far as a reason repeats it."""
    return text if len(text) <= LONGEST_TOLD else f"{text[:LONGEST_TOLD]}…"


def load_declarations(file: Path = FLAGS_FILE) -> dict[str, Declaration]:
    """Flag name → its declaration; flags that say how many decisions others need come before these."""
    declared: dict[str, dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    declarations = [_declaration(name, members) for name, members in declared.items()]
    return {each.name: each for each in sorted(declarations, key=lambda each: len(each.evidence))}


def _declaration(name: str, members: Mapping[str, Any]) -> Declaration:
    evidence: Mapping[str, Mapping[str, str]] = members.get("evidence", {})
    return Declaration(
        name=name,
        kind=members["kind"],
        default=members["default"],
        meaning=members["meaning"],
        values=tuple(members.get("values", ())),
        minimum=members.get("minimum"),
        maximum=members.get("maximum"),
        whole=members.get("whole", False),
        sequence=tuple(members.get("sequence", ())),
        evidence={value: needed["decisions_flag"] for value, needed in evidence.items()},
    )
