"""The JSON type of a flag's value is that of its kind."""

from __future__ import annotations

import pytest

from gateway.control.flag_declaration import FlagDeclaration, FlagValueError, Kind, Value, WhenStale
from gateway.control.flag_declarations import DECLARED
from gateway.control.flag_rules import in_force, text_from_json

BOOLEAN = FlagDeclaration(
    name="a-boolean", kind=Kind.BOOLEAN, default="off", owner="tests", meaning="none",
    stale_after_s=1, when_stale=WhenStale.KEEP,
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("kill-switch.all", "on", "on"),
        ("kill-switch.all", "YES", "on"),
        ("rollout-stage", "Shadow", "shadow"),
        ("rollout.shadow-share", 12, "12"),
        ("rollout.shadow-share", 12.5, "12.5"),
        ("rollout.shadow-decisions", 0, "0"),
    ],
)
def test_a_value_of_the_right_type_is_taken(name: str, value: Value, text: str) -> None:
    assert text_from_json(DECLARED[name], value) == text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kill-switch.all", True),
        ("kill-switch.all", 1),
        ("kill-switch.all", ""),
        ("rollout-stage", 1),
        ("rollout-stage", False),
        ("rollout.shadow-share", "12"),
        ("rollout.shadow-share", True),
        ("rollout.shadow-share", 0.0001),
        ("rollout.shadow-share", 1e300),
        ("rollout.shadow-share", 100.5),
        ("rollout.shadow-decisions", 1.0),
        ("rollout.shadow-decisions", 10**30),
    ],
)
def test_a_value_of_another_type_is_not(name: str, value: Value) -> None:
    with pytest.raises(FlagValueError, match=f"flag {name} is"):
        text_from_json(DECLARED[name], value)


@pytest.mark.parametrize(("value", "text"), [(True, "on"), (False, "off"), ("yes", "on")])
def test_a_boolean_is_true_or_false(value: Value, text: str) -> None:
    assert text_from_json(BOOLEAN, value) == text


@pytest.mark.parametrize(("text", "starts_from"), [(None, "off"), ("??", "off"), (" SHADOW ", "shadow")])
def test_a_step_starts_from_what_is_readable(text: str | None, starts_from: str) -> None:
    assert in_force(DECLARED["rollout-stage"], text) == starts_from
