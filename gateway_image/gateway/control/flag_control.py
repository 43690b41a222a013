"""The flags while the gateway runs: every tier read in the background, one answer a flag, at hand at once."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from gateway.control.flag_chain import FlagAnswer, resolve
from gateway.control.flag_declaration import FlagDeclaration
from gateway.control.flag_declarations import DECLARATIONS
from gateway.control.flag_evidence import ShadowEvidence
from gateway.control.flag_pace import Pace
from gateway.control.flag_reader import PACES, TierReader
from gateway.control.flag_state import FlagState, TierSaying
from gateway.control.flag_tiers import FlagTier
from gateway.control.flags import BUILT_IN_FLAGS, Flags

logger = logging.getLogger(__name__)


class FlagControl:
    """Keeps `value`, the flags in force. Requests read that attribute; everything else happens in threads.

    `tiers` are in their order, the one that goes before all others first.
    """

    def __init__(
        self,
        tiers: Sequence[FlagTier],
        *,
        paces: Mapping[str, Pace] = PACES,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.value: Flags = BUILT_IN_FLAGS
        self.evidence = ShadowEvidence()
        self._clock = clock
        self._lock = threading.Lock()
        self.readers = tuple(
            TierReader(tier, self.resolve, pace=paces[tier.name], clock=clock, wall_clock=wall_clock)
            for tier in tiers
        )

    @property
    def known(self) -> bool:
        """Whether every tier was asked and one of them answered: before that a provider may be killed.

        Once it is true it stays so, whatever is lost later.
        """
        readers = self.readers
        return all(each.attempts for each in readers) and any(each.age_s is not None for each in readers)

    def resolve(self) -> None:
        """Take up what the tiers said last; also without news, because time passes."""
        with self._lock:
            before = self.value
            self.value = Flags(resolve([reader.view() for reader in self.readers], self._clock()))
            for declaration in DECLARATIONS:
                _log_change(
                    declaration, before.answers[declaration.name], self.value.answers[declaration.name]
                )

    def refresh_now(self, tier: str) -> bool:
        """Read one tier in the calling thread, for at most a few seconds; whether it answered.

        Raises:
            LookupError: there is no tier of this name here.
        """
        for reader in self.readers:
            if reader.tier.name == tier:
                reader.refresh()
                return reader.circuit.answering
        here = ", ".join(reader.tier.name for reader in self.readers)
        raise LookupError(f"flags have no tier {tier!r} here; there are {here}")

    def describe(self) -> list[FlagState]:
        """Every flag with its answer, and what each tier says of it."""
        now_s = self._clock()
        flags = self.value
        return [self._state(each, flags.answers[each.name], now_s) for each in DECLARATIONS]

    def _state(self, declaration: FlagDeclaration, answer: FlagAnswer, now_s: float) -> FlagState:
        return FlagState(
            name=declaration.name,
            value=answer.value,
            text=declaration.text_of(answer.value),
            tier=answer.tier,
            age_s=_age_s(answer.confirmed_at_s, now_s),
            changed_at_ms=answer.changed_at_ms,
            declaration=declaration,
            tiers=tuple(_saying(declaration.name, reader, now_s) for reader in self.readers),
        )


def _saying(name: str, reader: TierReader, now_s: float) -> TierSaying:
    view = reader.view()
    record = view.said.get(name)
    return TierSaying(
        tier=view.tier,
        answering=view.answering,
        text=None if record is None else record.value,
        changed_at_ms=None if record is None else record.changed_at_ms,
        changed_by="" if record is None else record.changed_by,
        why="" if record is None else record.why,
        age_s=_age_s(view.read_at_s, now_s),
    )


def _age_s(at_s: float | None, now_s: float) -> float | None:
    return None if at_s is None else max(0.0, now_s - at_s)


def _log_change(declaration: FlagDeclaration, before: FlagAnswer, after: FlagAnswer) -> None:
    if before.value != after.value:
        change = {
            "flag": declaration.name,
            "from": declaration.text_of(before.value),
            "to": declaration.text_of(after.value),
            "tier": after.tier,
        }
        logger.warning("flag changed", extra=change)
