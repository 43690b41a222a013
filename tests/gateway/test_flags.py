"""Flags are read as an operator in a hurry writes them, and in doubt a kill switch kills."""

from __future__ import annotations

import pytest

from gateway.control.flag_declarations import RolloutStage
from gateway.control.flags import Flags, read_flags
from gateway.control.registry import Provider

SWITCHES = ["kill-switch.all", *(f"kill-switch.{provider}" for provider in Provider)]
NOTHING_ON = Flags()
ALL_ON = Flags(kill_all=True, killed=frozenset(Provider))


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.parametrize("text", ["on", "ON", " on", "on\n", "On ", "true", "True", "1", "yes"])
@pytest.mark.parametrize("previous", [None, NOTHING_ON])
def test_a_switch_is_on_in_any_spelling(name: str, text: str, previous: Flags | None) -> None:
    loaded = read_flags({name: text}, previous)
    on = {switch for switch in SWITCHES if loaded.value.texts()[switch] == "on"}
    assert on == {name}
    assert not loaded.problems


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.parametrize("text", ["off", "OFF", " off ", "false", "0", "no"])
def test_a_switch_is_off_in_any_spelling(name: str, text: str) -> None:
    loaded = read_flags(dict.fromkeys(SWITCHES, "on") | {name: text}, ALL_ON)
    assert loaded.value.texts()[name] == "off"
    assert not loaded.problems


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.parametrize("text", ["", "onn", "offf", "on,off", "2", "enabled"])
@pytest.mark.parametrize(("previous", "in_force"), [(None, "on"), (NOTHING_ON, "off"), (ALL_ON, "on")])
def test_an_unreadable_switch_keeps_its_value_and_is_on_where_it_had_none(
    name: str, text: str, previous: Flags | None, in_force: str
) -> None:
    before = previous.texts() if previous is not None else {}
    loaded = read_flags({**before, name: text}, previous)
    assert loaded.value.texts() == {**NOTHING_ON.texts(), **before, name: in_force}
    assert [name in problem and f"{in_force} is in force" in problem for problem in loaded.problems] == [True]


def test_flags_that_vanish_keep_their_values_with_a_complaint_for_each() -> None:
    before = Flags(rollout_stage=RolloutStage.CANARY, killed=frozenset({Provider.GOOGLE}))
    loaded = read_flags({}, before)
    assert loaded.value == before
    assert [problem.split(" is gone")[0] for problem in loaded.problems] == [
        "flag kill-switch.google",
        "flag rollout-stage",
    ]
    assert read_flags({}, loaded.value).value == before, "it must not come back at the second look"


def test_flags_that_were_never_set_are_off() -> None:
    assert read_flags({}, None).value == NOTHING_ON
    assert not read_flags({}, None).problems


@pytest.mark.parametrize("name", ["kill-switch.gogle", "kill_switch.all", "Kill-Switch.all", "rollout"])
def test_a_misspelt_flag_is_complained_of(name: str) -> None:
    loaded = read_flags({name: "on"}, None)
    assert loaded.value == NOTHING_ON
    assert [name in problem for problem in loaded.problems] == [True]


@pytest.mark.parametrize("text", ["canary", " Canary\n"])
def test_the_stage_is_read_in_any_case(text: str) -> None:
    assert read_flags({"rollout-stage": text}, None).value.rollout_stage is RolloutStage.CANARY


@pytest.mark.parametrize(
    ("previous", "in_force"), [(None, RolloutStage.OFF), (Flags(rollout_stage=RolloutStage.SHADOW), "shadow")]
)
def test_an_unreadable_stage_never_moves_a_rollout(previous: Flags | None, in_force: str) -> None:
    loaded = read_flags({"rollout-stage": "on"}, previous)
    assert loaded.value.rollout_stage == in_force
    assert ["rollout-stage" in problem for problem in loaded.problems] == [True]
