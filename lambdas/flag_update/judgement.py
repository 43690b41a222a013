"""Which of a parameter's versions count, and what the tiers should hold then. Pure.

A parameter is judged by its history since the change that the table holds, not by its last value alone: of
two changes between two looks the first may be what allows the second, and an invalid one must not hide a
valid one before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from lambdas.flag_update.declaration import ON, Declaration, InvalidValueError


@dataclass(frozen=True, kw_only=True)
class Version:
    """One value that a parameter had or has; `changed_by` is an ARN."""

    text: str
    number: int
    changed_at_ms: int
    changed_by: str


@dataclass(frozen=True, kw_only=True)
class Held:
    """What the table holds of a flag.

    `value` is None where its `text` says none. `is_sound` tells whether a reader can rely on it: it says a
    value, with a moment that is to be believed. Where it is not, a switch that is on counts as put on now,
    and everything else as older than any change.
    """

    text: str
    value: str | None
    changed_at_ms: int
    changed_by: str
    is_sound: bool = True


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Decisions that the replicas counted, and how many it takes.

    `counted` maps the moment (ms) at which a value was put to the decisions made under it.
    """

    counted: Mapping[int, int] = field(default_factory=dict)
    needed: Mapping[str, int] = field(default_factory=dict)
    """Value → decisions that a step up to it takes."""

    def seen(self, since_ms: int, until_ms: int) -> int:
        """Decisions counted under values that were put from `since_ms` on, before `until_ms`."""
        return sum(count for moment, count in self.counted.items() if since_ms <= moment < until_ms)


@dataclass(frozen=True, kw_only=True)
class InForce:
    """The value that should be in every tier.

    `version` is the parameter's that says so, None where it is the table's or the default. `since_ms` is when
    the value came into force.
    """

    value: str
    since_ms: int
    version: Version | None = None


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A version that must not be in force, and why."""

    version: Version
    reason: str


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What is in force, and the refusal of the newest version where it was refused."""

    in_force: InForce
    refusal: Refusal | None = None


def judge(
    declaration: Declaration, held: Held | None, versions: Sequence[Version], evidence: Evidence
) -> Judgement:
    """Follow `versions`, oldest first, from what the table holds."""
    start = InForce(value=declaration.default, since_ms=0)
    if held is not None and held.value is not None:
        start = InForce(value=held.value, since_ms=held.changed_at_ms)
    current, refusal = start, None
    for version in versions:
        refusal = None
        is_news = held is None or version.changed_at_ms > held.changed_at_ms
        try:
            value = declaration.read(version.text)
            if is_news:
                _demand_allowed_step(declaration, current, value, version.changed_at_ms, evidence)
        except InvalidValueError as error:
            refusal = Refusal(version=version, reason=str(error))
            continue
        if not is_news:
            continue
        if value == start.value:  # back where it was, by whatever detour: what was seen there still counts
            current = replace(start, version=version)
        elif value == current.value:
            current = replace(current, version=version)
        else:
            current = InForce(value=value, since_ms=version.changed_at_ms, version=version)
    return Judgement(in_force=current, refusal=refusal)


def goes_to_the_table(held: Held | None, in_force: InForce) -> bool:
    """Whether the table lacks what the parameter rightly says."""
    if in_force.version is None:
        return False
    return held is None or not held.is_sound or held.value != in_force.value


def parameter_goes_first(declaration: Declaration, parameter: Version, held: Held) -> bool:
    """Whether a parameter that says something else counts although the table's change is not older.

    Readers ask the parameter first. Of a kill switch the newest change counts, and of two at once `on`.
    """
    if not declaration.is_switch:
        return True
    tie = parameter.changed_at_ms == held.changed_at_ms
    return tie and declaration.read(parameter.text) == ON


def _demand_allowed_step(
    declaration: Declaration, current: InForce, value: str, at_ms: int, evidence: Evidence
) -> None:
    sequence = declaration.sequence
    if not sequence or sequence.index(value) <= sequence.index(current.value):
        return
    following = sequence[sequence.index(current.value) + 1]
    if value != following:
        raise InvalidValueError(
            f"{current.value} cannot become {value} at once: one step up at a time; put {following}"
        )
    needed = evidence.needed.get(value, 0)
    seen = evidence.seen(current.since_ms, at_ms)
    if seen < needed:
        raise InvalidValueError(
            f"{value} takes {needed} decisions in {current.value}, and {seen} were made; wait for them"
        )
