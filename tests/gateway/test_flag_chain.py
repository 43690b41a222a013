"""The first tier that answers wins, no loss of tiers changes an answer before it is stale, and kills stay."""

from __future__ import annotations

import itertools
import logging

import pytest

from gateway.control.flag_chain import Moment, TierView, absorb, resolve
from gateway.control.flag_declaration import FlagDeclaration, Kind, WhenStale
from gateway.control.flag_declarations import DAY_S, DECLARATIONS, KILL_SWITCHES
from gateway.control.flag_tiers import FlagRecord
from gateway.control.flags import BUILT_IN_FLAGS
from gateway.control.registry import Provider
from tests.gateway.flag_world import TIERS, FlagWorld

STAGE = "rollout-stage"
SHARE = "rollout.shadow-share"
KILL = "kill-switch.google"


@pytest.fixture
def world() -> FlagWorld:
    return FlagWorld()


def test_the_first_tier_that_answers_wins(world: FlagWorld) -> None:
    for tier, stage in zip(TIERS, ("shadow", "canary", "active"), strict=True):
        world.put(tier, STAGE, stage)
    world.read()
    assert (world.value(STAGE), world.tier_of(STAGE)) == ("shadow", "parameter")


@pytest.mark.parametrize(("lost", "stage"), [((), "shadow"), (TIERS[:1], "canary"), (TIERS[:2], "active")])
def test_a_replica_that_starts_while_tiers_are_lost_goes_by_the_others(
    world: FlagWorld, lost: tuple[str, ...], stage: str
) -> None:
    for tier, text in zip(TIERS, ("shadow", "canary", "active"), strict=True):
        world.put(tier, STAGE, text)
    world.lose(*lost)
    world.read()
    assert world.value(STAGE) == stage
    assert world.control.known


def test_a_replica_that_starts_without_any_tier_knows_nothing_until_one_answers(world: FlagWorld) -> None:
    """Whatever was killed, it would have it run: its answers are those of the declarations."""
    world.lose(*TIERS)
    world.read()
    assert world.control.value == BUILT_IN_FLAGS
    assert not world.control.known
    world.restore("table")
    world.read("table")
    assert world.control.known


def test_a_replica_that_knew_its_flags_once_knows_them_for_ever(world: FlagWorld) -> None:
    world.read("parameter", "table")
    assert not world.control.known  # the third may say something newer
    world.lose("database")
    world.read("database")
    assert world.control.known
    world.lose(*TIERS)
    world.advance(1_000_000)
    world.read()
    assert world.control.known


@pytest.mark.parametrize("lost", [each for n in (1, 2, 3) for each in itertools.combinations(TIERS, n)])
def test_below_its_staleness_bound_no_loss_changes_an_answer(world: FlagWorld, lost: tuple[str, ...]) -> None:
    """Although every tier holds something else."""
    for tier, stage, share in zip(TIERS, ("active", "shadow", "off"), ("30", "20", "10"), strict=True):
        world.put(tier, STAGE, stage)
        world.put(tier, SHARE, share)
    world.put("parameter", KILL, "on")
    world.read()
    before = world.control.value.texts()
    world.lose(*lost)
    for _ in range(24):
        world.advance(DAY_S / 24 - 1)
        world.read()
        assert world.control.value.texts() == before


def test_after_it_the_next_tier_is_asked_and_then_the_declaration(world: FlagWorld) -> None:
    world.put("parameter", STAGE, "active")
    world.put("table", STAGE, "canary")
    world.read()
    world.lose("parameter")
    world.advance(DAY_S - 1)
    world.read()
    assert world.value(STAGE) == "active"
    world.advance(2)
    world.read()
    assert (world.value(STAGE), world.tier_of(STAGE)) == ("canary", "table")
    world.lose("table")
    world.advance(DAY_S + 1)
    world.read()
    assert (world.value(STAGE), world.tier_of(STAGE)) == ("off", "default")


def test_a_flag_that_keeps_its_value_does_so_for_ever() -> None:
    kept = FlagDeclaration(
        name="kept", kind=Kind.BOOLEAN, default="off", owner="tests", meaning="Nothing.",
        stale_after_s=60, when_stale=WhenStale.KEEP,
    )  # fmt: skip
    view, _problems = absorb(TierView("parameter"), {"kept": FlagRecord("on", 5)}, Moment(0.0, 10), (kept,))
    late = resolve([TierView("table"), view], 1e9, (kept,))["kept"]
    assert (late.value, late.tier, late.confirmed_at_s) == (True, "parameter", 0.0)


def test_a_newer_change_in_a_later_tier_is_taken_up_while_the_first_is_lost(world: FlagWorld) -> None:
    world.put("parameter", STAGE, "canary")
    world.put("table", STAGE, "canary")
    world.read()
    world.lose("parameter")
    world.advance(10)
    world.put("table", STAGE, "off")
    world.read()
    assert (world.value(STAGE), world.tier_of(STAGE)) == ("off", "table")
    world.lose("table")
    world.advance(10)
    world.read()
    assert world.value(STAGE) == "off"
    world.restore("parameter")
    world.read()
    assert (world.value(STAGE), world.tier_of(STAGE)) == ("canary", "parameter")


def test_an_answer_names_the_tier_that_confirms_it_now(world: FlagWorld) -> None:
    world.put("parameter", STAGE, "canary")
    world.put("table", STAGE, "canary")
    world.read()
    world.lose("parameter")
    world.advance(30)
    world.read()
    state = next(each for each in world.control.describe() if each.name == STAGE)
    assert (state.text, state.tier, state.age_s) == ("canary", "table", 0.0)
    assert [(each.tier, each.answering, each.text, each.age_s) for each in state.tiers] == [
        ("parameter", False, "canary", 30.0),
        ("table", True, "canary", 0.0),
        ("database", True, None, 0.0),
    ]
    world.lose("table", "database")
    world.advance(30)
    world.read()
    state = next(each for each in world.control.describe() if each.name == STAGE)
    assert (state.tier, state.age_s) == ("parameter", 60.0)


def test_what_is_told_has_every_flag_with_its_declaration(world: FlagWorld) -> None:
    world.put("parameter", SHARE, "seventy")
    world.read()
    states = world.control.describe()
    assert [each.declaration for each in states] == list(DECLARATIONS)
    state = next(each for each in states if each.name == SHARE)
    assert (state.value, state.text, state.tier, state.age_s) == (10.0, "10", "default", None)
    assert state.tiers[0].text == "seventy", "also what is wrong is shown to operators"


# ---- kill switches ----


def test_an_operator_can_kill_while_the_first_tier_is_lost(world: FlagWorld) -> None:
    world.put("parameter", KILL, "off")
    world.put("table", KILL, "off")
    world.read()
    world.lose("parameter")
    world.advance(5)
    world.put("table", KILL, "on")
    world.read()
    assert world.value(KILL) is True
    world.restore("parameter")
    world.read()
    assert world.value(KILL) is True, "an old off must not revive"


@pytest.mark.parametrize("tier", TIERS)
def test_a_kill_in_any_tier_holds_until_a_newer_off_in_any_tier(world: FlagWorld, tier: str) -> None:
    for each in TIERS:
        world.put(each, KILL, "off")
    world.advance(1)
    world.put(tier, KILL, "on")
    world.read()
    assert world.value(KILL) is True
    world.lose(*TIERS)
    world.advance(100 * DAY_S)
    world.read()
    assert world.value(KILL) is True
    world.restore(*TIERS)
    world.tiers[tier].records.clear()
    world.read()
    assert world.value(KILL) is True
    world.put(next(each for each in TIERS if each != tier), KILL, "off")
    world.read()
    assert world.value(KILL) is False


def test_a_tier_that_goes_back_in_time_does_not_revive(world: FlagWorld) -> None:
    world.put("parameter", KILL, "on")
    world.read()
    world.put("parameter", KILL, "off", changed_at_ms=world.now_ms - 1000)
    world.read()
    assert world.value(KILL) is True
    (complaint,) = world.control.readers[0].complaints
    assert "it stays on until it is put with a newer one" in complaint
    world.put("parameter", KILL, "on", changed_at_ms=world.now_ms - 2000)
    world.put("table", KILL, "off", changed_at_ms=world.now_ms - 1000)
    world.read()
    assert world.value(KILL) is True


def test_of_two_changes_at_the_same_moment_the_kill_wins(world: FlagWorld) -> None:
    for first, second in (("on", "off"), ("off", "on")):
        world.put("parameter", KILL, first, changed_at_ms=7)
        world.put("table", KILL, second, changed_at_ms=7)
        world.read()
        assert world.value(KILL) is True


@pytest.mark.parametrize("behind_ms", [0, 900, 2000, 2990, 3000, 3001, 3020, 3050, 3051, 4000, 50_000])
@pytest.mark.parametrize("order", [("table", "parameter"), ("parameter", "table")])
def test_a_replica_whose_clock_is_behind_loses_no_kill(
    world: FlagWorld, order: tuple[str, str], behind_ms: int
) -> None:
    """Revived in both tiers, killed two seconds later in the table alone; a second later it starts."""
    revived_ms = world.now_ms - 3000 + behind_ms
    world.put("parameter", KILL, "off", changed_at_ms=revived_ms)
    world.put("table", KILL, "on", changed_at_ms=revived_ms + 2000)
    for tier in order:
        world.read(tier)
        world.advance(0.05)
    assert world.value(KILL) is True
    world.put("parameter", KILL, "off", changed_at_ms=revived_ms + 4000)
    world.put("table", KILL, "off", changed_at_ms=revived_ms + 4000)
    world.advance(2)
    world.read()
    assert world.value(KILL) is False


def test_a_replica_whose_clock_is_behind_goes_by_the_kill_that_it_saw_after_an_off_from_the_future(
    world: FlagWorld,
) -> None:
    world.put("table", KILL, "off", changed_at_ms=world.now_ms + 30_000)
    world.read()
    world.advance(1)
    world.put("parameter", KILL, "on", changed_at_ms=world.now_ms + 5_000)
    world.read()
    assert world.value(KILL) is True


def test_a_kill_from_the_future_can_be_ended(world: FlagWorld) -> None:
    world.put("table", KILL, "on", changed_at_ms=world.now_ms + 3_600_000)
    world.read()
    world.advance(1)
    world.put("parameter", KILL, "off")
    world.read()
    assert world.value(KILL) is False


def test_an_off_of_a_clock_that_runs_ahead_does_not_outlive_a_later_kill(world: FlagWorld) -> None:
    world.put("table", KILL, "off", changed_at_ms=world.now_ms + 3_600_000)
    world.read()
    world.advance(10)
    world.put("parameter", KILL, "on")
    world.read()
    assert world.value(KILL) is True
    world.advance(7200)
    world.read()
    assert world.value(KILL) is True


def test_a_kill_without_a_moment_is_meant_now_and_an_off_without_one_was_before(world: FlagWorld) -> None:
    world.put("parameter", KILL, "off")
    world.advance(1)
    world.put("table", KILL, "on", changed_at_ms=0)
    world.read()
    assert world.value(KILL) is True
    world.put("table", KILL, "off", changed_at_ms=0)
    world.read()
    assert world.value(KILL) is True
    world.advance(1)
    world.put("parameter", KILL, "off")
    world.read()
    assert world.value(KILL) is False


def test_an_unreadable_switch_kills_only_where_no_tier_says_better(world: FlagWorld) -> None:
    world.put("parameter", KILL, "onn")
    world.read("parameter")
    assert (world.value(KILL), world.tier_of(KILL)) == (True, "parameter")
    world.put("table", KILL, "off")
    world.read("table")
    assert (world.value(KILL), world.tier_of(KILL)) == (False, "table")
    assert world.control.value.kill_switch_on(Provider.GOOGLE) is None


def test_every_provider_is_stopped_by_its_own_switch(world: FlagWorld) -> None:
    for provider, name in KILL_SWITCHES.items():
        world.put("database", name, "on")
        world.read()
        assert world.control.value.kill_switch_on(provider) == name


# ---- reading ----


def test_a_tier_is_read_at_once_by_name_and_says_whether_it_answered(world: FlagWorld) -> None:
    assert world.control.refresh_now("table")
    world.lose("table")
    assert not world.control.refresh_now("table")
    with pytest.raises(
        LookupError, match="flags have no tier 'file' here; there are parameter, table, database"
    ):
        world.control.refresh_now("file")


def test_every_change_is_logged_once_with_its_tier(
    world: FlagWorld, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "gateway.control.flag_control")
    world.put("table", KILL, "on")
    world.read()
    world.read()
    (line,) = caplog.records
    logged = {name: getattr(line, name) for name in ("flag", "from", "to", "tier")}
    assert logged == {"flag": KILL, "from": "off", "to": "on", "tier": "table"}
