"""What a text says, and which of a parameter's versions count, without any store."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.flag_declaration import FlagValueError
from gateway.control.flag_declarations import DECLARED
from lambdas.flag_update.declaration import Declaration, InvalidValueError, load_declarations
from lambdas.flag_update.event import objection
from lambdas.flag_update.judgement import Evidence, Held, Judgement, Version, judge

DECLARATIONS = load_declarations()
STAGE = DECLARATIONS["rollout-stage"]
SWITCH = DECLARATIONS["kill-switch.all"]
ENOUGH = Evidence(counted={0: 1000, 10: 1000}, needed={"canary": 1000})

LIKELY = st.sampled_from(
    [
        "on",
        "OFF",
        " true ",
        "0",
        "yes",
        "shadow",
        "Canary",
        "activ",
        "5",
        "5.0001",
        "-0",
        "0.1",
        "1e3",
        "\u0661",
        "",
    ]
)


@given(name=st.sampled_from(sorted(DECLARED)), text=LIKELY | st.text(max_size=12) | st.decimals().map(str))
def test_a_text_says_the_same_here_and_in_the_gateway(name: str, text: str) -> None:
    declared = DECLARED[name]
    try:
        expected = declared.text_of(declared.parse(text))
    except FlagValueError:
        with pytest.raises(InvalidValueError):
            DECLARATIONS[name].read(text)
    else:
        assert DECLARATIONS[name].read(text) == expected


def test_every_flag_of_the_gateway_is_known_with_its_default() -> None:
    assert {name: each.default for name, each in DECLARATIONS.items()} == {
        name: each.default for name, each in DECLARED.items()
    }
    assert [name for name in DECLARATIONS if DECLARATIONS[name].evidence] == list(DECLARATIONS)[-1:]


def versions(*texts: str, start_ms: int = 10, number: int = 1) -> list[Version]:
    """One every 10 ms."""
    return [
        Version(
            text=text, number=number + position, changed_at_ms=start_ms + 10 * position, changed_by="anna"
        )
        for position, text in enumerate(texts)
    ]


def held(value: str, changed_at_ms: int = 0) -> Held:
    return Held(text=value, value=value, changed_at_ms=changed_at_ms, changed_by="anna")


def judged(
    *texts: str,
    row: Held | None,
    declaration: Declaration = STAGE,
    evidence: Evidence = ENOUGH,
    start_ms: int = 10,
) -> Judgement:
    return judge(declaration, row, versions(*texts, start_ms=start_ms), evidence)


def test_the_newest_valid_version_is_in_force() -> None:
    judgement = judged("shadow", row=held("off"))
    assert (judgement.in_force.value, judgement.refusal) == ("shadow", None)
    assert judgement.in_force.version == versions("shadow")[0]


def test_a_version_that_the_table_has_seen_counts_no_more() -> None:
    judgement = judged("active", row=held("off", changed_at_ms=10))
    assert (judgement.in_force.value, judgement.in_force.version) == ("off", None)


def test_a_valid_version_is_not_hidden_by_an_invalid_one_after_it() -> None:
    judgement = judged("on", "onn", row=held("off"), declaration=SWITCH)
    assert judgement.in_force.value == "on"
    assert judgement.refusal is not None
    assert judgement.refusal.version.text == "onn"
    assert "'onn' is neither on nor off; put on or off" in judgement.refusal.reason


def test_an_invalid_version_that_was_followed_by_a_valid_one_is_history() -> None:
    assert judged("onn", "on", row=held("off"), declaration=SWITCH).refusal is None


def test_without_a_row_the_default_is_where_it_starts() -> None:
    judgement = judged("nonsense", row=None)
    assert (judgement.in_force.value, judgement.in_force.version) == ("off", None)


@pytest.mark.parametrize(
    ("before", "after"),
    [("off", "canary"), ("off", "active"), ("shadow", "active")],
)
def test_no_step_of_a_sequence_is_left_out(before: str, after: str) -> None:
    judgement = judged(after, row=held(before))
    assert judgement.in_force.value == before
    assert judgement.refusal is not None
    assert f"{before} cannot become {after} at once" in judgement.refusal.reason


@pytest.mark.parametrize(
    ("before", "after"),
    [("active", "off"), ("active", "shadow"), ("canary", "off"), ("shadow", "off"), ("off", "off")],
)
def test_any_number_of_steps_down_is_allowed(before: str, after: str) -> None:
    assert judged(after, row=held(before), evidence=Evidence()).in_force.value == after


def test_two_steps_between_two_looks_are_two_steps() -> None:
    evidence = Evidence(counted={10: 1000}, needed={"canary": 1000})
    judgement = judged("shadow", "canary", row=held("off"), evidence=evidence)
    assert (judgement.in_force.value, judgement.refusal) == ("canary", None)


def test_canary_takes_the_decisions_that_were_made_in_shadow() -> None:
    def in_force(decisions: int) -> str:
        evidence = Evidence(counted={5: decisions}, needed={"canary": 1000})
        return judged("canary", row=held("shadow", changed_at_ms=5), evidence=evidence).in_force.value

    assert in_force(999) == "shadow"
    assert in_force(1000) == "canary"


def test_decisions_of_an_earlier_shadow_stage_do_not_count() -> None:
    evidence = Evidence(counted={3: 5000}, needed={"canary": 1000})
    judgement = judged("canary", row=held("shadow", changed_at_ms=5), evidence=evidence)
    assert judgement.refusal is not None
    assert "canary takes 1000 decisions in shadow, and 0 were made" in judgement.refusal.reason


def test_a_step_that_was_refused_does_not_make_the_count_start_again() -> None:
    """Replicas count under the moment of the value in force, which a value that is put back changes."""
    evidence = Evidence(counted={5: 600, 20: 400}, needed={"canary": 1000})
    judgement = judged("canary", "shadow", "canary", row=held("shadow", changed_at_ms=5), evidence=evidence)
    assert judgement.in_force.value == "canary"


def test_no_decision_is_taken_for_one_of_a_later_stage() -> None:
    evidence = Evidence(counted={40: 1000}, needed={"canary": 1000})
    assert judged("canary", row=held("shadow", changed_at_ms=5), evidence=evidence).refusal is not None


# ---- events ----

PATH = "/ai-orchestration/test/flags"


def change(name: object, **other: object) -> dict[str, object]:
    event = {"source": "aws.ssm", "detail-type": "Parameter Store Change", "detail": {"name": name}}
    return {**event, **other}


def test_a_change_below_the_path_and_the_schedule_are_reasons_to_look() -> None:
    assert objection(change(f"{PATH}/rollout-stage"), PATH) is None
    assert objection({"reconcile": True}, PATH) is None


@pytest.mark.parametrize(
    "event",
    [
        None,
        [],
        "x",
        {},
        {"reconcile": "yes"},
        {"reconcile": True, "flags": {"kill-switch.all": "off"}},
        change("/ai-orchestration/production/flags/rollout-stage"),
        change(PATH),
        change(f"{PATH}-of-others/rollout-stage"),
        change(None),
        change(f"{PATH}/rollout-stage", source="aws.s3"),
        change(f"{PATH}/rollout-stage", detail="none"),
        change(f"{PATH}/rollout-stage", **{"detail-type": "Parameter Store Policy Action"}),
    ],
)
def test_every_other_event_is_none(event: object) -> None:
    assert objection(event, PATH)
