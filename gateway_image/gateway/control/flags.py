"""The flags in force as requests ask for them: look-ups in memory, nothing that could wait."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from gateway.control.flag_chain import FlagAnswer, built_in
from gateway.control.flag_declaration import Value
from gateway.control.flag_declarations import (
    DECLARED,
    KILL_SWITCH_ALL,
    KILL_SWITCHES,
    ROLLOUT_STAGE,
    RolloutStage,
)
from gateway.control.registry import Provider


class Flags(msgspec.Struct, frozen=True):
    """One answer for every flag that is declared."""

    answers: Mapping[str, FlagAnswer]

    def get(self, name: str) -> Value:
        """The value of a flag, of the type its declaration says.

        Raises:
            KeyError: no such flag is declared.
        """
        return self.answers[name].value

    @property
    def rollout_stage(self) -> RolloutStage:
        """Who gets the learned choice."""
        return RolloutStage(str(self.answers[ROLLOUT_STAGE].value))

    def kill_switch_on(self, provider: Provider) -> str | None:
        """The name of the switch that stops `provider`, or None where none does."""
        if self.answers[KILL_SWITCH_ALL].value:
            return KILL_SWITCH_ALL
        name = KILL_SWITCHES[provider]
        return name if self.answers[name].value else None

    def texts(self) -> dict[str, str]:
        """Flag name → value, as the tiers hold them."""
        return {name: DECLARED[name].text_of(answer.value) for name, answer in self.answers.items()}


BUILT_IN_FLAGS = Flags(built_in())
"""What holds before any tier was read."""
