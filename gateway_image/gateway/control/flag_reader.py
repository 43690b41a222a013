"""Reads one tier of flags in a thread of its own, at its own pace."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import msgspec

from gateway.control.flag_chain import Moment, TierView, absorb
from gateway.control.flag_pace import Pace, TierCircuit
from gateway.control.flag_tiers import DATABASE, PARAMETER, TABLE, FlagTier
from gateway.control.snapshot import Loaded, Snapshot

PACES: Mapping[str, Pace] = {
    PARAMETER: Pace(interval_s=2.0, probe_interval_s=4.5),
    TABLE: Pace(interval_s=2.0, probe_interval_s=4.5),
    DATABASE: Pace(interval_s=5.0, probe_interval_s=10.0),
}
"""A kill switch lies in the first two tiers, and must be in force within five seconds, also when such a tier
comes back at the moment at which a probe of it has failed."""


class TierReader(Snapshot[TierView]):
    """The snapshot of one tier. `after_read` is called after every read, in the thread that read."""

    def __init__(
        self,
        tier: FlagTier,
        after_read: Callable[[], None],
        *,
        pace: Pace,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(f"flags_{tier.name}", self._read, interval_s=pace.interval_s, clock=clock)
        self.tier = tier
        self.circuit = TierCircuit(pace)
        self._after_read = after_read
        self._wall_clock = wall_clock
        self._took_s = 0.0

    def view(self) -> TierView:
        """What is known of the tier."""
        known = self.value or TierView(self.tier.name)
        return msgspec.structs.replace(known, answering=self.circuit.answering and self.value is not None)

    def refresh(self) -> None:
        """Read the tier once, whether its circuit is open or not; never raises."""
        started_s = self._clock()
        super().refresh()
        self._took_s = self._clock() - started_s
        self._after_read()

    def pause_s(self) -> float:
        """Seconds until the next read."""
        return self.circuit.pause_s(self._took_s)

    def _read(self, previous: TierView | None) -> Loaded[TierView]:
        try:
            records = self.tier.read()
        except Exception:
            self.circuit.failed()
            raise
        self.circuit.succeeded()
        now = Moment(self._clock(), round(self._wall_clock() * 1000))
        return Loaded(*absorb(previous or TierView(self.tier.name), records, now))
