"""Every flag there is. `environments/flags.json` is generated from this list."""

from __future__ import annotations

import datetime
import enum
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

import msgspec

from gateway.control.flag_declaration import Evidence, FlagDeclaration, Kind, Switch, WhenStale
from gateway.control.registry import Provider

KILL_SWITCH_ALL = "kill-switch.all"
ROLLOUT_STAGE = "rollout-stage"
SHADOW_SHARE = "rollout.shadow-share"
CANARY_SHARE = "rollout.canary-share"
SHADOW_DECISIONS = "rollout.shadow-decisions"

DAY_S = 86_400
OPERATORS = "platform operations"
ROUTING = "routing"

FLAGS_FILE = "flags.json"


class RolloutStage(enum.StrEnum):
    """Who gets the learned choice: nobody, a discarded copy of some requests, some users, everyone."""

    OFF = "off"
    SHADOW = "shadow"
    CANARY = "canary"
    ACTIVE = "active"


KILL_SWITCHES: Mapping[Provider, str] = MappingProxyType(
    {provider: f"kill-switch.{provider}" for provider in Provider}
)
"""Provider → the flag that stops it."""


def _kill_switch(name: str, stops: str) -> FlagDeclaration:
    return FlagDeclaration(
        name=name,
        kind=Kind.SWITCH,
        default=Switch.OFF,
        values=tuple(Switch),
        owner=OPERATORS,
        meaning=f"On: no request is sent to {stops}. Keeps its state for ever, whatever is lost.",
        stale_after_s=DAY_S,
        when_stale=WhenStale.KEEP,
    )


def _percentage(name: str, default: str, maximum: int, meaning: str) -> FlagDeclaration:
    return FlagDeclaration(
        name=name,
        kind=Kind.PERCENTAGE,
        default=default,
        minimum=0,
        maximum=maximum,
        owner=ROUTING,
        meaning=meaning,
        stale_after_s=DAY_S,
        when_stale=WhenStale.DEFAULT,
    )


DECLARATIONS: tuple[FlagDeclaration, ...] = (
    _kill_switch(KILL_SWITCH_ALL, "any provider"),
    *(_kill_switch(name, f"the provider {provider}") for provider, name in KILL_SWITCHES.items()),
    FlagDeclaration(
        name=ROLLOUT_STAGE,
        kind=Kind.ENUM,
        default=RolloutStage.OFF,
        values=tuple(RolloutStage),
        owner=ROUTING,
        meaning="Who gets the learned choice: nobody, a discarded copy of requests, some users, everyone.",
        stale_after_s=DAY_S,
        when_stale=WhenStale.DEFAULT,
        sequence=tuple(RolloutStage),
        evidence={RolloutStage.CANARY: Evidence(decisions_flag=SHADOW_DECISIONS)},
    ),
    _percentage(
        SHADOW_SHARE,
        "10",
        100,
        "Percentage of requests whose learned choice is tried and discarded in shadow.",
    ),
    _percentage(CANARY_SHARE, "1", 5, "Percentage of users who get the learned choice in canary."),
    FlagDeclaration(
        name=SHADOW_DECISIONS,
        kind=Kind.NUMBER,
        default="1000",
        minimum=0,
        maximum=1_000_000,
        whole=True,
        owner=ROUTING,
        meaning="Decisions that the shadow stage must have seen before rollout-stage may go to canary.",
        stale_after_s=DAY_S,
        when_stale=WhenStale.DEFAULT,
    ),
)
"""In the order in which they are listed everywhere."""

DECLARED: Mapping[str, FlagDeclaration] = MappingProxyType({each.name: each for each in DECLARATIONS})
"""Flag name → its declaration."""


def flags_document(declarations: Iterable[FlagDeclaration] = DECLARATIONS) -> str:
    """The declarations as JSON, as they are committed; members that a kind does not have are left out."""
    told = {each.name: _members(each) for each in declarations}
    return json.dumps(told, indent=2) + "\n"


def write_flags(directory: Path) -> None:
    """Write `flags.json` below `directory`, the repository's `environments/`."""
    (directory / FLAGS_FILE).write_text(flags_document(), encoding="utf-8")


def expired(today: datetime.date, declarations: Iterable[FlagDeclaration] = DECLARATIONS) -> tuple[str, ...]:
    """What is to be said of the flags that should be gone by `today`; empty where none is."""
    return tuple(
        f"flag {each.name} of {each.owner} expired on {each.expires}; remove it and what asks for it, "
        "or give it a later day in gateway/control/flag_declarations.py"
        for each in declarations
        if each.expires is not None and each.expires < today
    )


def _members(declaration: FlagDeclaration) -> dict[str, object]:
    told: dict[str, object] = msgspec.to_builtins(declaration)
    del told["name"]
    for optional in ("values", "minimum", "maximum", "whole", "sequence", "evidence"):
        if told[optional] is None or told[optional] is False or told[optional] in ([], (), {}):
            del told[optional]
    return told
