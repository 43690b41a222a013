"""Operational flags: the rollout stage and the kill switches."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from gateway.control.flag_declaration import SWITCH_WORDS, Switch
from gateway.control.flag_declarations import KILL_SWITCH_ALL, ROLLOUT_STAGE, RolloutStage
from gateway.control.registry import Provider
from gateway.control.snapshot import Loaded

if TYPE_CHECKING:
    from types_boto3_ssm.client import SSMClient


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
    """The flags that `texts` (flag name → value) set; case and surrounding space do not matter.

    A flag that is gone or unreadable keeps its value before. Where there is none before, a flag that is not
    there has its built-in default, and a kill switch that is unreadable is on: somebody meant to touch it.
    """
    problems = [_unknown(name) for name in sorted(texts.keys() - BUILT_IN_FLAGS.texts().keys())]
    switched: dict[str, bool] = {}
    for name in (KILL_SWITCH_ALL, *(kill_switch_of(provider) for provider in Provider)):
        kept = None if previous is None else previous.texts()[name] == Switch.ON
        switched[name], problem = _switch(name, texts.get(name), kept)
        problems += problem
    stage, problem = _stage(texts.get(ROLLOUT_STAGE), None if previous is None else previous.rollout_stage)
    flags = Flags(
        rollout_stage=stage,
        kill_all=switched[KILL_SWITCH_ALL],
        killed=frozenset(provider for provider in Provider if switched[kill_switch_of(provider)]),
    )
    return Loaded(flags, (*problems, *problem))


def _switch(name: str, text: str | None, kept: bool | None) -> tuple[bool, list[str]]:
    if text is None:
        return bool(kept), [_gone(name, Switch.ON)] if kept else []
    word = SWITCH_WORDS.get(text.strip().casefold())
    if word is not None:
        return word is Switch.ON, []
    in_force = True if kept is None else kept
    return in_force, [_wrong(name, text, Switch, Switch.ON if in_force else Switch.OFF)]


def _stage(text: str | None, kept: RolloutStage | None) -> tuple[RolloutStage, list[str]]:
    in_force = kept or BUILT_IN_FLAGS.rollout_stage
    if text is None:
        return in_force, [_gone(ROLLOUT_STAGE, in_force)] if kept and kept is not RolloutStage.OFF else []
    try:
        return RolloutStage(text.strip().casefold()), []
    except ValueError:
        return in_force, [_wrong(ROLLOUT_STAGE, text, RolloutStage, in_force)]


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


def _wrong(name: str, text: str, allowed: type[enum.StrEnum], in_force: str) -> str:
    return f"flag {name} is {text[:40]!r}, not one of {', '.join(allowed)}; {in_force} is in force"


def _gone(name: str, in_force: str) -> str:
    return f"flag {name} is gone; it stays {in_force} until it is put to another value"


def _unknown(name: str) -> str:
    return f"flag {name[:100]!r} is none of {', '.join(BUILT_IN_FLAGS.texts())}; it does nothing"
