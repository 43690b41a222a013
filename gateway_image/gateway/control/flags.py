"""Operational flags: the rollout stage and the kill switches."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from gateway.control.registry import Provider
from gateway.control.snapshot import Loaded

if TYPE_CHECKING:
    from types_boto3_ssm.client import SSMClient

KILL_SWITCH_ALL = "kill-switch.all"
ROLLOUT_STAGE = "rollout-stage"


class RolloutStage(enum.StrEnum):
    """Who gets the learned choice: nobody, a discarded copy of some requests, some users, everyone."""

    OFF = "off"
    SHADOW = "shadow"
    CANARY = "canary"
    ACTIVE = "active"


class Switch(enum.StrEnum):
    """The two values of a kill switch."""

    ON = "on"
    OFF = "off"


class Flags(msgspec.Struct, frozen=True):
    """The flags in force. The defaults are what holds where no store says otherwise."""

    rollout_stage: RolloutStage = RolloutStage.OFF
    kill_all: bool = False
    killed: frozenset[Provider] = frozenset()

    def kill_switch_on(self, provider: Provider) -> str | None:
        """The name of the switch that stops `provider`, or None where none does."""
        if self.kill_all:
            return KILL_SWITCH_ALL
        return kill_switch_of(provider) if provider in self.killed else None

    def texts(self) -> dict[str, str]:
        """Flag name → value, as the flag stores hold them."""
        killed = {kill_switch_of(each): Switch.ON if each in self.killed else Switch.OFF for each in Provider}
        kill_all = Switch.ON if self.kill_all else Switch.OFF
        return {ROLLOUT_STAGE: self.rollout_stage, KILL_SWITCH_ALL: kill_all, **killed}


BUILT_IN_FLAGS = Flags()


def kill_switch_of(provider: Provider) -> str:
    """The flag that stops one provider."""
    return f"kill-switch.{provider}"


def read_flags(texts: Mapping[str, str], previous: Flags | None) -> Loaded[Flags]:
    """The flags that `texts` (flag name → value) set.

    A flag without a text has its built-in default; one with a wrong text keeps its value before.
    """
    before = previous or BUILT_IN_FLAGS
    problems: list[str] = []

    def switch(name: str, kept: bool) -> bool:
        text = texts.get(name, Switch.OFF)
        if text in Switch.__members__.values():
            return text == Switch.ON
        problems.append(_wrong(name, text, Switch))
        return kept

    stage = before.rollout_stage
    stage_text = texts.get(ROLLOUT_STAGE, RolloutStage.OFF)
    try:
        stage = RolloutStage(stage_text)
    except ValueError:
        problems.append(_wrong(ROLLOUT_STAGE, stage_text, RolloutStage))
    flags = Flags(
        rollout_stage=stage,
        kill_all=switch(KILL_SWITCH_ALL, before.kill_all),
        killed=frozenset(
            provider for provider in Provider if switch(kill_switch_of(provider), provider in before.killed)
        ),
    )
    return Loaded(flags, tuple(problems))


class FlagParameters:
    """The flags as SSM parameters below one path. `load` blocks."""

    def __init__(self, client: SSMClient, path: str) -> None:
        self._client = client
        self._path = path

    def load(self, previous: Flags | None) -> Loaded[Flags]:
        """Read every flag below the path."""
        texts: dict[str, str] = {}
        for page in self._client.get_paginator("get_parameters_by_path").paginate(Path=self._path):
            for parameter in page["Parameters"]:
                texts[parameter["Name"].removeprefix(f"{self._path}/")] = parameter["Value"]
        return read_flags(texts, previous)


def _wrong(name: str, text: str, allowed: type[enum.StrEnum]) -> str:
    return f"flag {name} is {text[:40]!r}, not one of {', '.join(allowed)}; it keeps its value before"
