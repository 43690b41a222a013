"""What a flag is: its kind, its bounds, and how a text becomes its value."""

from __future__ import annotations

import datetime
import enum
import re
from collections.abc import Mapping
from typing import TypeAlias

import msgspec

Value: TypeAlias = bool | int | float | str
"""Switch and boolean: bool. Enum: str. Percentage: float. Number: float, or int where it is whole."""

LONGEST_TOLD = 40
"""Characters of a wrong text that an error repeats."""

_NUMBER = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,3})?")
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,9}")


class Kind(enum.StrEnum):
    """The types of flags. A switch stops something: in doubt it is on, and it keeps its state for ever."""

    SWITCH = "switch"
    BOOLEAN = "boolean"
    PERCENTAGE = "percentage"
    ENUM = "enum"
    NUMBER = "number"


class WhenStale(enum.StrEnum):
    """What holds once no tier has confirmed a value for `stale_after_s`: the last value, or the default."""

    KEEP = "keep"
    DEFAULT = "default"


class Switch(enum.StrEnum):
    """The texts of switches and booleans."""

    OFF = "off"
    ON = "on"


SWITCH_WORDS = {
    **dict.fromkeys(("on", "true", "1", "yes"), Switch.ON),
    **dict.fromkeys(("off", "false", "0", "no"), Switch.OFF),
}
"""What an operator in a hurry writes into a switch."""


class FlagValueError(ValueError):
    """A text that is no value of its flag: names the flag, the text, the reason and the remedy."""

    def __init__(self, name: str, text: str, reason: str, remedy: str) -> None:
        shown = text if len(text) <= LONGEST_TOLD else f"{text[:LONGEST_TOLD]}…"
        super().__init__(f"flag {name} is {shown!r}, which is {reason}; put {remedy}")
        self.reason = reason
        self.remedy = remedy


class Evidence(msgspec.Struct, frozen=True):
    """What must have been seen before a step: as many decisions as the flag `decisions_flag` says."""

    decisions_flag: str


class FlagDeclaration(msgspec.Struct, frozen=True, kw_only=True):
    """One flag: what it may be, what it is where nobody says otherwise, whose it is and what it means.

    `default` and `values` are texts, as the tiers hold them. `minimum` and `maximum` bound percentages and
    numbers, both included. `sequence` names the values in the order of steps; `evidence` says by value what
    a step to it needs. A flag past the day `expires` should be gone; it goes on to work.
    """

    name: str
    kind: Kind
    default: str
    owner: str
    meaning: str
    stale_after_s: int
    when_stale: WhenStale
    values: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    whole: bool = False
    expires: datetime.date | None = None
    sequence: tuple[str, ...] = ()
    evidence: Mapping[str, Evidence] = {}

    @property
    def default_value(self) -> Value:
        """The default as a value."""
        return self.parse(self.default)

    def parse(self, text: str) -> Value:
        """The value that `text` says; case and surrounding space do not matter.

        Raises:
            FlagValueError: it says none.
        """
        word = text.strip().casefold()
        match self.kind:
            case Kind.SWITCH | Kind.BOOLEAN:
                return self._switched(text, word)
            case Kind.ENUM:
                return self._chosen(text, word)
            case Kind.PERCENTAGE | Kind.NUMBER:
                return self._counted(text, word)

    def text_of(self, value: Value) -> str:
        """`value` as the tiers hold it."""
        if isinstance(value, bool):
            return Switch.ON if value else Switch.OFF
        if isinstance(value, float):
            return f"{value:.3f}".rstrip("0").rstrip(".")
        return str(value)

    def _switched(self, text: str, word: str) -> bool:
        switch = SWITCH_WORDS.get(word)
        if switch is None:
            raise FlagValueError(self.name, text, "neither on nor off", "on or off")
        return switch is Switch.ON

    def _chosen(self, text: str, word: str) -> str:
        if word not in self.values:
            listed = ", ".join(self.values)
            raise FlagValueError(self.name, text, f"none of {listed}", "one of these")
        return word

    def _counted(self, text: str, word: str) -> int | float:
        kind = "whole number" if self.whole else "number"
        remedy = f"a {kind} from {self.minimum} to {self.maximum}"
        if not (_WHOLE_NUMBER if self.whole else _NUMBER).fullmatch(word):
            form = "" if self.whole else " with at most three decimals"
            raise FlagValueError(self.name, text, f"no {kind}{form}", remedy)
        value = int(word) if self.whole else float(word) + 0.0  # which makes 0 of -0
        if self.minimum is not None and value < self.minimum:
            raise FlagValueError(self.name, text, f"below {self.minimum}", remedy)
        if self.maximum is not None and value > self.maximum:
            raise FlagValueError(self.name, text, f"above {self.maximum}", remedy)
        return value
