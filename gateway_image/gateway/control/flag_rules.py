"""Which changes of a flag are allowed. Pure; what is in force and what was seen come as arguments.

The functions that replicate flags hold the same rules, from `environments/flags.json`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from gateway.control.flag_declaration import FlagDeclaration, FlagValueError, Kind, Value
from gateway.control.flag_tiers import EVIDENCE_PREFIX, FLAG_ATTRIBUTE
from gateway.control.refusals import TransitionRefusedError


class Seen(msgspec.Struct, frozen=True):
    """What speaks for a step of a sequence: decisions made at the value in force, and how many it takes."""

    decisions: int
    needed: int


def text_from_json(declaration: FlagDeclaration, value: Value) -> str:
    """`value`, of the JSON type that the flag's kind has, as the tiers hold it.

    Raises:
        FlagValueError: it is of another type, or no value of the flag.
    """
    kind = declaration.kind
    counted = kind in (Kind.PERCENTAGE, Kind.NUMBER)
    if isinstance(value, bool):
        if kind is not Kind.BOOLEAN:
            raise FlagValueError(declaration.name, str(value).lower(), f"no {kind}", _remedy(declaration))
    elif counted is isinstance(value, str):
        raise FlagValueError(declaration.name, str(value), f"no {kind}", _remedy(declaration))
    text = declaration.text_of(value) if isinstance(value, bool) else str(value)
    return declaration.text_of(declaration.parse(text))


def step_needing_evidence(declaration: FlagDeclaration, before: str, after: str) -> str | None:
    """The flag that says how many decisions the change takes, None where it takes none.

    Raises:
        TransitionRefusedError: no evidence would make the change allowed.
    """
    if before == after and declaration.kind is not Kind.SWITCH:
        raise TransitionRefusedError(f"flag {declaration.name} is {after} already")
    sequence = declaration.sequence
    if not sequence:
        return None
    here, there = sequence.index(before), sequence.index(after)
    if there > here + 1:
        raise TransitionRefusedError(
            f"flag {declaration.name} is {before} and cannot become {after} at once; it goes up one step at "
            f"a time, the next is {sequence[here + 1]}"
        )
    evidence = declaration.evidence.get(after)
    return evidence.decisions_flag if evidence is not None and there > here else None


def judge_evidence(declaration: FlagDeclaration, before: str, after: str, seen: Seen) -> None:
    """Let a step pass for which enough was seen.

    Raises:
        TransitionRefusedError: it was not.
    """
    if seen.decisions < seen.needed:
        raise TransitionRefusedError(
            f"flag {declaration.name} cannot become {after} yet: {seen.decisions} decisions were made in "
            f"{before}, it takes {seen.needed}"
        )


def in_force(declaration: FlagDeclaration, text: str | None) -> str:
    """The text that a change starts from: what the tier says, or the default where that is unreadable."""
    if text is None:
        return declaration.default
    try:
        return declaration.text_of(declaration.parse(text))
    except FlagValueError:
        return declaration.default


def evidence_prefix(flag: str) -> str:
    """What the keys in the flag table begin with under which decisions are counted; their moment follows."""
    return f"{EVIDENCE_PREFIX}{flag}#"


def evidence_key(flag: str, changed_at_ms: int) -> str:
    """The key in the flag table under which decisions at the value put at `changed_at_ms` are counted."""
    return f"{evidence_prefix(flag)}{changed_at_ms}"


def decisions_since(flag: str, since_ms: int, items: Iterable[Mapping[str, object]]) -> int:
    """How many decisions `items` of the flag table count for values that were put at `since_ms` or later."""
    prefix = evidence_prefix(flag)
    total = 0
    for item in items:
        moment = str(item.get(FLAG_ATTRIBUTE)).removeprefix(prefix)
        decisions = item.get("decisions")
        if moment.isascii() and moment.isdigit() and int(moment) >= since_ms and isinstance(decisions, int):
            total += decisions
    return total


def declaration_of(declared: Mapping[str, FlagDeclaration], name: str) -> FlagDeclaration:
    """The declaration of the flag `name`.

    Raises:
        FlagValueError: there is no such flag.
    """
    declaration = declared.get(name)
    if declaration is None:
        listed = ", ".join(declared)
        raise FlagValueError(name[:64], "asked for", "no flag", f"one of {listed}")
    return declaration


def _remedy(declaration: FlagDeclaration) -> str:
    match declaration.kind:
        case Kind.SWITCH:
            return "on or off"
        case Kind.BOOLEAN:
            return "true or false"
        case Kind.ENUM:
            return f"one of {', '.join(declaration.values)}"
        case Kind.PERCENTAGE | Kind.NUMBER:
            return f"a number from {declaration.minimum} to {declaration.maximum}"
