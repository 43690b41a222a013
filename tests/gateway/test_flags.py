"""Flags are read as an operator in a hurry writes them, and in doubt a kill switch kills."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from gateway.control.flag_chain import Moment, TierView, absorb, resolve
from gateway.control.flag_declarations import KILL_SWITCH_ALL, KILL_SWITCHES, RolloutStage
from gateway.control.flag_tiers import FlagRecord
from gateway.control.flags import BUILT_IN_FLAGS, Flags
from gateway.control.registry import Provider
from tests.gateway.flag_values import flags_with

SWITCHES = [KILL_SWITCH_ALL, *KILL_SWITCHES.values()]
ALL_ON = flags_with(dict.fromkeys(SWITCHES, "on"))
DEFAULTS = BUILT_IN_FLAGS.texts()


class Tier:
    """The first tier, read one text after the other, each put a second after the one before."""

    def __init__(self) -> None:
        self.view = TierView("parameter")
        self.problems: tuple[str, ...] = ()
        self._now_s = 0.0
        self._records: dict[str, FlagRecord] = {}

    def says(self, texts: Mapping[str, str]) -> Flags:
        """The flags after the tier said `texts`."""
        self._now_s += 1.0
        moment_ms = 1_000_000 + round(self._now_s * 1000)
        for name in self._records.keys() - texts.keys():
            del self._records[name]
        for name, text in texts.items():
            if name not in self._records or self._records[name].value != text:
                self._records[name] = FlagRecord(text, moment_ms)
        self.view, self.problems = absorb(self.view, dict(self._records), Moment(self._now_s, moment_ms))
        return Flags(resolve([self.view], self._now_s))


@pytest.fixture
def tier() -> Tier:
    return Tier()


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.parametrize("text", ["on", "ON", " on", "on\n", "On ", "true", "True", "1", "yes"])
@pytest.mark.parametrize("before", [{}, dict.fromkeys(SWITCHES, "off")])
def test_a_switch_is_on_in_any_spelling(tier: Tier, name: str, text: str, before: dict[str, str]) -> None:
    tier.says(before)
    flags = tier.says(before | {name: text})
    assert {switch for switch in SWITCHES if flags.get(switch)} == {name}
    assert not tier.problems


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.parametrize("text", ["off", "OFF", " off ", "false", "0", "no"])
def test_a_switch_is_off_in_any_spelling(tier: Tier, name: str, text: str) -> None:
    tier.says(dict.fromkeys(SWITCHES, "on"))
    flags = tier.says(dict.fromkeys(SWITCHES, "on") | {name: text})
    assert flags.get(name) is False
    assert not tier.problems


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.parametrize("text", ["", "onn", "offf", "on,off", "2", "enabled"])
@pytest.mark.parametrize(("before", "in_force"), [(None, "on"), ("off", "off"), ("on", "on")])
def test_an_unreadable_switch_keeps_its_value_and_is_on_where_it_had_none(
    tier: Tier, name: str, text: str, before: str | None, in_force: str
) -> None:
    texts = {} if before is None else dict.fromkeys(SWITCHES, before)
    tier.says(texts)
    flags = tier.says(texts | {name: text})
    assert flags.texts() == DEFAULTS | texts | {name: in_force}
    assert [name in problem and f"{in_force} is in force" in problem for problem in tier.problems] == [True]


def test_flags_that_vanish_keep_their_values_with_a_complaint_for_each(tier: Tier) -> None:
    before = tier.says({"rollout-stage": "canary", "kill-switch.google": "on", "kill-switch.llama": "off"})
    after = tier.says({})
    assert after.texts() == before.texts()
    assert [problem.split(" is gone")[0] for problem in tier.problems] == [
        "flag kill-switch.google",
        "flag rollout-stage",
    ]
    assert tier.says({}).texts() == before.texts(), "it must not come back at the second look"


def test_flags_that_were_never_set_are_what_they_are_declared(tier: Tier) -> None:
    assert tier.says({}).texts() == DEFAULTS
    assert not tier.problems


@pytest.mark.parametrize("name", ["kill-switch.gogle", "kill_switch.all", "Kill-Switch.all", "rollout"])
def test_a_misspelt_flag_is_complained_of(tier: Tier, name: str) -> None:
    assert tier.says({name: "on"}).texts() == DEFAULTS
    assert [name in problem for problem in tier.problems] == [True]


@pytest.mark.parametrize("text", ["canary", " Canary\n"])
def test_the_stage_is_read_in_any_case(tier: Tier, text: str) -> None:
    assert tier.says({"rollout-stage": text}).rollout_stage is RolloutStage.CANARY


@pytest.mark.parametrize(("before", "in_force"), [(None, "off"), ("shadow", "shadow")])
def test_an_unreadable_stage_never_moves_a_rollout(tier: Tier, before: str | None, in_force: str) -> None:
    tier.says({} if before is None else {"rollout-stage": before})
    assert tier.says({"rollout-stage": "on"}).rollout_stage == in_force
    assert ["rollout-stage" in problem for problem in tier.problems] == [True]


def test_a_share_out_of_its_bounds_keeps_the_last_good_one(tier: Tier) -> None:
    tier.says({"rollout.canary-share": "2.5"})
    assert tier.says({"rollout.canary-share": "50"}).get("rollout.canary-share") == 2.5
    assert "above 5" in tier.problems[0]
    assert "2.5 is in force" in tier.problems[0]


def test_the_switch_that_stops_a_provider_is_named() -> None:
    assert [BUILT_IN_FLAGS.kill_switch_on(provider) for provider in Provider] == [None, None, None]
    one = flags_with({"kill-switch.google": "on"})
    assert [one.kill_switch_on(provider) for provider in Provider] == [None, "kill-switch.google", None]
    assert {ALL_ON.kill_switch_on(provider) for provider in Provider} == {KILL_SWITCH_ALL}


def test_a_flag_that_is_not_declared_cannot_be_asked_for() -> None:
    with pytest.raises(KeyError):
        BUILT_IN_FLAGS.get("rollout.stage")
