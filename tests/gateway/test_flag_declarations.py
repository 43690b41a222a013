"""Flags are declared once, typed and bounded; what is no value of a flag is refused with the reason."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.__main__ import main
from gateway.control.flag_declaration import FlagDeclaration, FlagValueError, Kind, Value, WhenStale
from gateway.control.flag_declarations import (
    DECLARATIONS,
    DECLARED,
    FLAGS_FILE,
    KILL_SWITCH_ALL,
    KILL_SWITCHES,
    ROLLOUT_STAGE,
    expired,
    flags_document,
    write_flags,
)
from tests.gateway.stores import ENVIRONMENTS

BOOLEAN = FlagDeclaration(
    name="a-boolean",
    kind=Kind.BOOLEAN,
    default="on",
    values=("off", "on"),
    owner="tests",
    meaning="Nothing.",
    stale_after_s=60,
    when_stale=WhenStale.KEEP,
)
RATIO = FlagDeclaration(
    name="a-ratio",
    kind=Kind.NUMBER,
    default="0.5",
    minimum=-1,
    maximum=1,
    owner="tests",
    meaning="Nothing.",
    stale_after_s=60,
    when_stale=WhenStale.KEEP,
)
OF_EVERY_KIND = (*DECLARATIONS, BOOLEAN, RATIO)


def test_the_committed_file_is_what_the_declarations_give() -> None:
    remedy = "run `python -m gateway flags ../environments` in gateway_image/"
    assert (ENVIRONMENTS / FLAGS_FILE).read_text() == flags_document(), remedy


def test_the_command_writes_the_file(tmp_path: Path) -> None:
    assert main(["flags", str(tmp_path)]) == 0
    assert (tmp_path / FLAGS_FILE).read_text() == flags_document()
    write_flags(tmp_path)
    assert list(json.loads((tmp_path / FLAGS_FILE).read_text())) == [each.name for each in DECLARATIONS]


def test_the_file_has_every_member_that_functions_and_stacks_read() -> None:
    told = json.loads(flags_document())
    always = {"kind", "default", "owner", "meaning", "expires", "stale_after_s", "when_stale"}
    for name, members in told.items():
        assert always <= set(members), name
    assert told[ROLLOUT_STAGE]["sequence"] == ["off", "shadow", "canary", "active"]
    assert told[ROLLOUT_STAGE]["evidence"] == {"canary": {"decisions_flag": "rollout.shadow-decisions"}}
    shares = {"rollout.shadow-share": 100, "rollout.canary-share": 5}
    for name, maximum in shares.items():
        assert (told[name]["minimum"], told[name]["maximum"]) == (0, maximum)


@pytest.mark.parametrize("declaration", DECLARATIONS, ids=lambda each: each.name)
def test_a_declaration_is_whole(declaration: FlagDeclaration) -> None:
    assert declaration.text_of(declaration.default_value) == declaration.default
    assert declaration.owner
    assert declaration.meaning
    assert set(declaration.sequence) <= set(declaration.values)
    assert set(declaration.evidence) <= set(declaration.sequence)
    for evidence in declaration.evidence.values():
        assert DECLARED[evidence.decisions_flag].whole
    if declaration.kind in (Kind.NUMBER, Kind.PERCENTAGE):
        assert declaration.minimum is not None
        assert declaration.maximum is not None


def test_every_provider_has_a_kill_switch_that_keeps_its_state() -> None:
    switches = {each.name for each in DECLARATIONS if each.kind is Kind.SWITCH}
    assert switches == {KILL_SWITCH_ALL, *KILL_SWITCHES.values()}
    assert all(DECLARED[name].when_stale is WhenStale.KEEP for name in switches)
    assert not any(DECLARED[name].default_value for name in switches)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("rollout.shadow-share", " 12.5 ", 12.5),
        ("rollout.shadow-share", "100", 100.0),
        ("rollout.shadow-share", "-0", 0.0),
        ("rollout.canary-share", "0.125", 0.125),
        ("rollout.shadow-decisions", "01000", 1000),
        ("rollout-stage", "ACTIVE", "active"),
        ("kill-switch.all", "Yes", True),
        ("kill-switch.llama", "0", False),
    ],
)
def test_a_text_is_read_as_its_kind(name: str, text: str, value: Value) -> None:
    read = DECLARED[name].parse(text)
    assert read == value
    assert type(read) is type(value)
    assert not str(read).startswith("-")


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("rollout.canary-share", "5.001", "is '5.001', which is above 5; put a number from 0 to 5"),
        ("rollout.canary-share", "-1", "is '-1', which is below 0; put a number from 0 to 5"),
        (
            "rollout.shadow-share",
            "10%",
            "is '10%', which is no number with at most three decimals; put a number from 0 to 100",
        ),
        ("rollout-stage", "on", "is 'on', which is none of off, shadow, canary, active; put one of these"),
        ("kill-switch.all", "", "is '', which is neither on nor off; put on or off"),
        (
            "rollout.shadow-decisions",
            "1e3",
            "is '1e3', which is no whole number; put a whole number from 0 to 1000000",
        ),
    ],
)
def test_a_refusal_names_flag_text_reason_and_remedy(name: str, text: str, problem: str) -> None:
    with pytest.raises(FlagValueError) as refused:
        DECLARED[name].parse(text)
    assert str(refused.value) == f"flag {name} {problem}"


@pytest.mark.parametrize(
    "text", ["nan", "inf", "1_0", "1,5", "\u0661", "0x1", "1.0", "+1", "1" * 400, "--1", "1 0", "\u00b2"]
)
def test_what_only_looks_like_a_whole_number_is_refused(text: str) -> None:
    with pytest.raises(FlagValueError) as refused:
        DECLARED["rollout.shadow-decisions"].parse(text)
    assert len(str(refused.value)) < 200


@given(st.sampled_from(OF_EVERY_KIND), st.text(max_size=12) | st.from_regex(r"-?[0-9]{1,4}(\.[0-9]{0,4})?"))
def test_any_text_gives_a_value_within_the_declaration_or_is_refused(
    declaration: FlagDeclaration, text: str
) -> None:
    try:
        value = declaration.parse(text)
    except FlagValueError:
        return
    assert_allowed(declaration, value)
    assert declaration.parse(declaration.text_of(value)) == value


def assert_allowed(declaration: FlagDeclaration, value: Value) -> None:
    """`value` is of the flag's type and within its bounds."""
    match declaration.kind:
        case Kind.SWITCH | Kind.BOOLEAN:
            assert isinstance(value, bool)
        case Kind.ENUM:
            assert value in declaration.values
        case Kind.PERCENTAGE | Kind.NUMBER:
            assert type(value) is (int if declaration.whole else float)
            assert declaration.minimum is not None
            assert declaration.maximum is not None
            assert declaration.minimum <= value <= declaration.maximum


def test_a_flag_past_its_day_is_complained_of_with_its_owner(capsys: pytest.CaptureFixture[str]) -> None:
    passing = msgspec.structs.replace(BOOLEAN, expires=datetime.date(2026, 11, 30))
    assert expired(datetime.date(2026, 11, 30), (passing, RATIO)) == ()
    (complaint,) = expired(datetime.date(2026, 12, 1), (passing, RATIO))
    assert complaint.startswith("flag a-boolean of tests expired on 2026-11-30; remove it")
    assert main(["expired-flags"]) in (0, 1)
    assert "Traceback" not in capsys.readouterr().err
