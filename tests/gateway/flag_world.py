"""Three tiers, the clocks and one replica that reads them, all in the test's hands."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.control.flag_control import FlagControl
from gateway.control.flag_tiers import FlagRecord

TIERS = ("parameter", "table", "database")
START_S = 1_800_000_000.0


class ScriptedTier:
    """A tier that says what it is given, or is lost."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.records: dict[str, FlagRecord] = {}
        self.lost = False

    def read(self) -> Mapping[str, FlagRecord]:
        if self.lost:
            raise TimeoutError(f"{self.name} does not answer")
        return dict(self.records)


class FlagWorld:
    """A replica and what it reads. Time moves only by `advance`."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0
        self.tiers = {name: ScriptedTier(name) for name in TIERS}
        self.control = FlagControl(
            tuple(self.tiers.values()), clock=lambda: self.elapsed_s, wall_clock=lambda: self.now_s
        )

    @property
    def now_s(self) -> float:
        return START_S + self.elapsed_s

    @property
    def now_ms(self) -> int:
        return round(self.now_s * 1000)

    def put(self, tier: str, name: str, text: str, *, changed_at_ms: int | None = None) -> None:
        moment = self.now_ms if changed_at_ms is None else changed_at_ms
        self.tiers[tier].records[name] = FlagRecord(text, moment)

    def lose(self, *tiers: str) -> None:
        for name in tiers:
            self.tiers[name].lost = True

    def restore(self, *tiers: str) -> None:
        for name in tiers:
            self.tiers[name].lost = False

    def advance(self, seconds: float) -> None:
        self.elapsed_s += seconds

    def read(self, *tiers: str) -> None:
        for name in tiers or TIERS:
            self.control.refresh_now(name)

    def value(self, name: str) -> object:
        return self.control.value.get(name)

    def tier_of(self, name: str) -> str:
        return self.control.value.answers[name].tier
