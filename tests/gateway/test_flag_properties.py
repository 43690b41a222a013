"""Whatever is put, lost, restored and read, in any order and at any time: what holds for flags holds."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.control.flag_declaration import FlagValueError, Kind
from gateway.control.flag_declarations import DAY_S, DECLARATIONS, DECLARED
from tests.gateway.flag_world import TIERS, FlagWorld
from tests.gateway.test_flag_declarations import assert_allowed

SWITCHES = tuple(each.name for each in DECLARATIONS if each.kind is Kind.SWITCH)
ORDINARY = tuple(each.name for each in DECLARATIONS if each.kind is not Kind.SWITCH)

tiers = st.sampled_from(TIERS)
names = st.sampled_from((*SWITCHES, *ORDINARY, "no-flag"))
texts = st.sampled_from(
    ("on", "off", "shadow", "canary", "active", "0", "1", "2.5", "7", "100", "1000", "-1", "", "nonsense")
)
ages_ms = st.sampled_from((0, 0, 0, 1, 1000, 3_600_000))


class FlagMachine(RuleBasedStateMachine):
    """Operators put texts, tiers come and go, a replica reads. `newest` is what it must know of switches."""

    def __init__(self) -> None:
        super().__init__()
        self.world = FlagWorld()
        self.newest: dict[str, tuple[int, bool]] = {}
        self.confirmed_s: dict[tuple[str, str], float] = {}

    @rule(tier=tiers, name=names, text=texts, age_ms=ages_ms)
    def somebody_puts(self, tier: str, name: str, text: str, age_ms: int) -> None:
        self.world.put(tier, name, text, changed_at_ms=self.world.now_ms - age_ms)

    @rule(tier=tiers, name=names)
    def somebody_deletes(self, tier: str, name: str) -> None:
        self.world.tiers[tier].records.pop(name, None)

    @rule(lost=st.sets(tiers, min_size=1))
    def tiers_are_lost(self, lost: set[str]) -> None:
        self.world.lose(*lost)

    @rule(back=st.sets(tiers, min_size=1))
    def tiers_come_back(self, back: set[str]) -> None:
        self.world.restore(*back)

    @rule(seconds=st.sampled_from((0.5, 2.0, 60.0, 3600.0, DAY_S / 2, DAY_S * 1.5)))
    def time_passes(self, seconds: float) -> None:
        self.world.advance(seconds)

    @rule(tier=tiers)
    def the_replica_reads(self, tier: str) -> None:
        before = {name: self.world.value(name) for name in DECLARED}
        self.world.read(tier)
        if self.world.tiers[tier].lost:
            for name in (*SWITCHES, *filter(self._is_fresh, ORDINARY)):
                assert self.world.value(name) == before[name], "only a loss, and another answer"
        else:
            self._learn(tier)

    @rule()
    def the_replica_reads_every_tier(self) -> None:
        for tier in TIERS:
            self.the_replica_reads(tier)
        first = self.world.tiers[TIERS[0]]
        for name in () if first.lost else ORDINARY:
            if name in first.records and _readable(name, first.records[name].value):
                told = DECLARED[name].parse(first.records[name].value)
                assert self.world.value(name) == told, "the first tier answers, and another one is obeyed"

    @invariant()
    def every_value_is_one_of_its_flag(self) -> None:
        for declaration in DECLARATIONS:
            value = self.world.control.value.get(declaration.name)
            assert_allowed(declaration, value)

    @invariant()
    def a_switch_is_what_the_newest_change_says_that_was_ever_read(self) -> None:
        for name, (_moment, on) in self.newest.items():
            assert self.world.value(name) is on

    def _is_fresh(self, name: str) -> bool:
        """Whether no tier's word on the flag is about to go stale."""
        at_s = [self.confirmed_s[tier, name] for tier in TIERS if (tier, name) in self.confirmed_s]
        return all(self.world.elapsed_s - each < DAY_S for each in at_s)

    def _learn(self, tier: str) -> None:
        for name, record in self.world.tiers[tier].records.items():
            if name not in DECLARED or not _readable(name, record.value):
                continue
            self.confirmed_s[tier, name] = self.world.elapsed_s
            if name in SWITCHES:
                change = (record.changed_at_ms, DECLARED[name].parse(record.value) is True)
                self.newest[name] = max(self.newest.get(name, change), change)


def _readable(name: str, text: str) -> bool:
    try:
        DECLARED[name].parse(text)
    except FlagValueError:
        return False
    return True


TestFlags = FlagMachine.TestCase
TestFlags.settings = settings(max_examples=150, stateful_step_count=40)
