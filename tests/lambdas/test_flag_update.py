"""The flag-update function on simulated stores: what each tier and the records hold after a look."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, cast

import pytest
from botocore.exceptions import ClientError

from lambdas.flag_update import handler as flag_update
from lambdas.flag_update.declaration import load_declarations
from lambdas.flag_update.judgement import Version
from lambdas.flag_update.parameters import FlagParameters
from lambdas.flag_update.table import read_table
from tests.lambdas.flag_stores import FLAG_TABLE, PATH, FlagStores, flag_stores, lines

ARN = "arn:aws:lambda:eu-central-1:111122223333:function:flag-update"
KILL, STAGE, SHARE, NEEDED = (
    "kill-switch.bedrock",
    "rollout-stage",
    "rollout.canary-share",
    "rollout.shadow-decisions",
)
DEFAULTS = {name: each.default for name, each in load_declarations().items()}
TEN_MINUTES_MS = 600_000


class Context:
    invoked_function_arn = ARN


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def look(event: object = None) -> None:
    """An invocation by the schedule, or by `event`."""
    flag_update.handler({"reconcile": True} if event is None else event, Context())


@pytest.fixture
def stores() -> Iterator[FlagStores]:
    """Every flag has its default in both tiers."""
    with flag_stores() as opened:
        for name, default in DEFAULTS.items():
            opened.put(name, default)
        opened.put_rows(DEFAULTS, now_ms())
        yield opened


@pytest.fixture
def printed(stores: FlagStores, capsys: pytest.CaptureFixture[str]) -> Callable[[], list[dict[str, Any]]]:
    """The lines since the last time, without those of the deployment."""
    assert stores.rows()
    capsys.readouterr()
    return lambda: lines(capsys.readouterr().out)


def measured(printed: list[dict[str, Any]]) -> dict[str, int]:
    (line,) = [one for one in printed if one["event"] == "flags measured"]
    return {name: line[name] for name in ("Refused", "Replicated", "Failures")}


def settled(stores: FlagStores) -> bool:
    """Whether another look changes nothing."""

    before = stores.state()
    look()
    return before == stores.state()


def test_after_a_deployment_the_table_gets_every_flag(stores: FlagStores) -> None:
    for name in DEFAULTS:
        stores.dynamodb.delete_item(TableName=FLAG_TABLE, Key={"flag": {"S": name}})
    look()
    assert {name: row["value"] for name, row in stores.rows().items()} == DEFAULTS
    assert stores.actions(STAGE) == [("in-force", "", "off")]
    assert settled(stores)


# ---- a valid change ----


def test_a_valid_change_goes_to_the_table_with_its_moment_and_a_record(
    stores: FlagStores, printed: Callable[[], list[dict[str, Any]]]
) -> None:
    version = stores.put(KILL, " ON ")
    look()
    row = stores.rows()[KILL]
    changed = stores.ssm.get_parameter(Name=f"{PATH}/{KILL}")["Parameter"]["LastModifiedDate"]
    assert row["value"] == "on"
    assert int(row["changed_at_ms"]) == round(changed.timestamp() * 1000)
    assert row["changed_by"] == "N/A"  # what moto says of everybody
    assert stores.audit(KILL)[-1]["who"] == row["changed_by"]
    assert stores.actions(KILL)[-1] == ("in-force", "off", "on")
    assert stores.parameter(KILL) == " ON "
    said = printed()
    assert measured(said) == {"Refused": 0, "Replicated": 1, "Failures": 0}
    (line,) = [one for one in said if one["event"] == "flag replicated"]
    assert line == {"event": "flag replicated", "flag": KILL, "value": "on", "version": version}
    assert settled(stores)


def test_an_event_only_says_that_there_is_something_to_see(stores: FlagStores) -> None:
    stores.put(KILL, "on")
    look(
        {
            "source": "aws.ssm",
            "detail-type": "Parameter Store Change",
            "detail": {"name": f"{PATH}/{SHARE}", "operation": "Delete"},
        }
    )
    assert stores.row(KILL) == "on"
    assert stores.parameter(SHARE) == "1"


def test_a_foreign_event_is_refused_with_one_line_and_nothing_is_done(
    stores: FlagStores, printed: Callable[[], list[dict[str, Any]]]
) -> None:
    stores.put(KILL, "on")
    look({"source": "aws.s3", "detail": {"name": f"{PATH}/{KILL}"}})
    (line,) = printed()
    assert line == {
        "event": "event refused",
        "reason": "it is neither a change in Parameter Store nor the schedule's",
    }
    assert stores.row(KILL) == "off"


def test_the_step_up_after_enough_decisions_is_taken(stores: FlagStores) -> None:
    stores.put(NEEDED, "3")
    stores.put(STAGE, "shadow")
    look()
    stores.put_evidence(int(stores.rows()[STAGE]["changed_at_ms"]), 3)
    stores.put(STAGE, "canary")
    look()
    assert stores.row(STAGE) == stores.parameter(STAGE) == "canary"
    assert settled(stores)


def test_changes_that_no_event_told_of_are_judged_one_after_the_other(stores: FlagStores) -> None:
    stores.put(NEEDED, "0")
    for stage in ("shadow", "canary", "active"):
        stores.put(STAGE, stage)
    look()
    assert stores.row(STAGE) == stores.parameter(STAGE) == "active"


# ---- a change that is refused ----


@pytest.mark.parametrize(
    ("flag", "text", "reason"),
    [
        (SHARE, "6", "'6' is above 5; put a number from 0 to 5"),
        (SHARE, "-1", "below 0"),
        (SHARE, "many", "'many' is no number with at most three decimals"),
        (NEEDED, "1.5", "'1.5' is no whole number"),
        (STAGE, "on", "'on' is none of off, shadow, canary, active"),
        (STAGE, "canary", "off cannot become canary at once"),
        (SHARE, "x" * 4000, "x" * 40 + "…"),
    ],
)
def test_a_wrong_value_is_taken_back_and_reported(
    stores: FlagStores, printed: Callable[[], list[dict[str, Any]]], flag: str, text: str, reason: str
) -> None:
    before, row = stores.parameter(flag), stores.rows()[flag]
    version = stores.put(flag, text)
    look()
    assert stores.parameter(flag) == before
    assert stores.rows()[flag] == row
    assert stores.actions(flag)[-1] == ("refused", before, text if len(text) <= 40 else f"{text[:40]}…")
    assert reason in stores.audit(flag)[-1]["why"]
    said = printed()
    assert measured(said) == {"Refused": 1, "Replicated": 0, "Failures": 0}
    (line,) = [one for one in said if one["event"] == "flag refused"]
    assert reason in line.pop("reason")
    assert line == {
        "event": "flag refused",
        "flag": flag,
        "value": text if len(text) <= 40 else f"{text[:40]}…",
        "in_force": before,
        "version": version,
        "changed_by": "N/A",
    }
    assert settled(stores)


def test_a_valid_change_before_a_wrong_one_is_kept(stores: FlagStores) -> None:
    stores.put(KILL, "on")
    stores.put(KILL, "of")
    look()
    assert stores.parameter(KILL) == stores.row(KILL) == "on"
    assert [action for action, _before, _after in stores.actions(KILL)] == ["in-force", "refused"]
    assert settled(stores)


def test_a_step_up_without_enough_decisions_is_taken_back(stores: FlagStores) -> None:
    stores.put(STAGE, "shadow")
    look()
    stores.put_evidence(int(stores.rows()[STAGE]["changed_at_ms"]), 999)
    stores.put(STAGE, "canary")
    look()
    assert stores.row(STAGE) == stores.parameter(STAGE) == "shadow"
    assert stores.actions(STAGE)[-1] == ("refused", "shadow", "canary")
    assert settled(stores)


def test_how_many_decisions_it_takes_is_a_flag_that_is_judged_as_well(stores: FlagStores) -> None:
    stores.put(STAGE, "shadow")
    look()
    stores.put(NEEDED, "none")
    stores.put(STAGE, "canary")
    look()
    assert stores.row(STAGE) == "shadow"
    stores.put(NEEDED, "0")
    stores.put(STAGE, "canary")
    look()
    assert stores.row(STAGE) == "canary"


# ---- others who write at the same moment ----


class Interrupted(FlagParameters):
    """Between a look at a parameter and the write, an operator writes what is told."""

    operators: ClassVar[list[str]] = []

    def put(self, flag: str, value: str) -> int:
        if self.operators:
            text = self.operators.pop(0)
            self._client.put_parameter(Name=f"{PATH}/{flag}", Value=text, Type="String", Overwrite=True)
        return super().put(flag, value)


@pytest.fixture
def operators(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    texts: list[str] = []
    monkeypatch.setattr(Interrupted, "operators", texts)
    monkeypatch.setattr(flag_update, "FlagParameters", Interrupted)
    return texts


def test_a_valid_value_that_was_overwritten_while_another_was_taken_back_is_put_again(
    stores: FlagStores, operators: list[str]
) -> None:
    stores.put(SHARE, "6")
    operators.append("2")
    look()
    assert stores.versions(SHARE) == ["1", "6", "2", "1", "2"]
    assert stores.row(SHARE) == stores.parameter(SHARE) == "2"
    assert [action for action, *_ in stores.actions(SHARE)] == ["refused", "in-force", "repaired"]
    assert settled(stores)


def test_a_wrong_value_that_was_overwritten_stays_away_and_is_reported(
    stores: FlagStores, operators: list[str]
) -> None:
    stores.put(SHARE, "6")
    operators.append("nonsense")
    look()
    assert stores.versions(SHARE) == ["1", "6", "nonsense", "1"]
    assert [after for action, _before, after in stores.actions(SHARE) if action == "refused"] == [
        "6",
        "nonsense",
    ]
    assert settled(stores)


def test_a_parameter_that_never_rests_is_reported_and_the_next_look_goes_on(
    stores: FlagStores, operators: list[str], printed: Callable[[], list[dict[str, Any]]]
) -> None:
    stores.put(SHARE, "6")
    operators.extend(["2", "3"] * 5)
    look()
    assert measured(printed())["Failures"] == 1
    operators.clear()
    look()
    assert stores.row(SHARE) == stores.parameter(SHARE)
    assert settled(stores)


def test_two_looks_at_once_record_a_change_once(stores: FlagStores, monkeypatch: pytest.MonkeyPatch) -> None:
    stores.put(KILL, "on")
    stores.put(SHARE, "6")

    def then_another_looks(*arguments: Any) -> Any:  # noqa: ANN401 - passed on as they are
        content = read_table(*arguments)
        monkeypatch.setattr(flag_update, "read_table", read_table)
        look()
        return content

    monkeypatch.setattr(flag_update, "read_table", then_another_looks)
    look()
    assert len(stores.actions(KILL)) == 1
    assert len(stores.actions(SHARE)) == 1
    assert stores.versions(SHARE).count("1") == 2
    assert settled(stores)


# ---- no write of this function turns a switch off ----


def test_a_wrong_text_over_an_off_is_reported_at_every_look_and_left_alone(
    stores: FlagStores, printed: Callable[[], list[dict[str, Any]]]
) -> None:
    """The moment of an off from here would be newer than that of a kill between the look and the write."""
    version, row = stores.put(KILL, "onn"), stores.rows()[KILL]
    for _look in range(2):
        look()
        assert stores.versions(KILL) == ["off", "onn"]
        assert stores.rows()[KILL] == row
        said = printed()
        assert measured(said)["Refused"] == 1
        (line,) = [one for one in said if one["event"].startswith("flag ") and "flag" in one]
        assert (line["event"], line["in_force"], line["version"]) == ("flag refused", "off", version)
        assert "'onn' is neither on nor off; put on or off" in line["reason"]
    assert stores.actions(KILL) == [("refused", "off", "onn")]
    stores.put(KILL, "on")
    look()
    assert stores.row(KILL) == stores.parameter(KILL) == "on"


def test_an_off_that_only_the_table_has_does_not_go_to_the_parameter(
    stores: FlagStores, printed: Callable[[], list[dict[str, Any]]]
) -> None:
    stores.put(KILL, "on")
    look()
    stores.put_row(KILL, "off", now_ms())  # revived while Parameter Store was lost
    before = stores.state()
    printed()
    look()
    assert stores.state() == before
    (line,) = [one for one in printed() if one["event"] == "flag left alone"]
    assert line == {
        "event": "flag left alone",
        "flag": KILL,
        "value": "on",
        "in_force": "off",
        "remedy": "put off",
    }


class Died(BaseException):
    """The function ends, whatever it was doing."""


class Dying(FlagParameters):
    """An operator kills, in both tiers, between the look and the write, after which the function dies."""

    stores: ClassVar[FlagStores]

    def history(self, flag: str) -> Sequence[Version]:
        versions = super().history(flag)
        self.stores.put(flag, "on")
        self.stores.put_row(flag, "on", now_ms())
        time.sleep(0.002)
        return versions

    def put(self, flag: str, value: str) -> int:
        super().put(flag, value)
        raise Died


@pytest.mark.parametrize("before", ["wrong text", "older on", "newer on"])
def test_a_kill_survives_a_look_that_dies_after_its_write(
    stores: FlagStores, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    time.sleep(0.002)
    if before == "wrong text":
        stores.put(KILL, "onn")
    elif before == "older on":
        stores.put(KILL, "on")
        time.sleep(0.002)
        stores.put_row(KILL, "off", now_ms())
    else:
        stores.put_row(KILL, "on", now_ms())
    with monkeypatch.context() as patched:
        patched.setattr(Dying, "stores", stores, raising=False)
        patched.setattr(flag_update, "FlagParameters", Dying)
        with contextlib.suppress(Died):
            look()
    look()
    assert stores.row(KILL) == stores.parameter(KILL) == "on"
    assert settled(stores)


def test_a_revival_at_the_moment_of_a_write_is_overtaken_in_every_tier(
    stores: FlagStores, operators: list[str]
) -> None:
    stores.put_row(KILL, "on", now_ms())
    operators.append("off")
    look()
    assert stores.versions(KILL) == ["off", "off", "on"]
    assert stores.row(KILL) == "on"
    assert settled(stores)


# ---- kill switches in the table ----


def test_a_kill_switch_that_is_newer_in_the_table_goes_to_the_parameter(stores: FlagStores) -> None:
    stores.put_row(KILL, "on", now_ms(), "arn:aws:iam::111122223333:user/bernd")
    look()
    assert stores.parameter(KILL) == stores.row(KILL) == "on"
    assert stores.actions(KILL)[-1] == ("repaired", "off", "on")
    assert stores.audit(KILL)[-1]["who"] == "arn:aws:iam::111122223333:user/bernd"
    assert settled(stores)


def test_a_kill_switch_that_is_older_in_the_table_does_not_come_back(stores: FlagStores) -> None:
    stores.put_row(KILL, "on", 1)
    look()
    assert stores.parameter(KILL) == stores.row(KILL) == "off"


def test_a_switch_that_was_put_on_by_hand_without_a_moment_is_on(stores: FlagStores) -> None:
    stores.dynamodb.put_item(TableName=FLAG_TABLE, Item={"flag": {"S": KILL}, "value": {"S": "ON"}})
    look()
    assert stores.parameter(KILL) == "on"
    look()
    assert int(stores.rows()[KILL]["changed_at_ms"]) > 0
    assert settled(stores)
    stores.put(KILL, "off")
    look()
    assert stores.row(KILL) == "off"


def test_a_moment_in_the_future_does_not_win_for_ever(stores: FlagStores) -> None:
    stores.put_row(KILL, "off", now_ms() + TEN_MINUTES_MS)
    stores.put(KILL, "on")
    look()
    assert stores.row(KILL) == stores.parameter(KILL) == "on"
    assert settled(stores)


def test_another_flag_that_is_newer_in_the_table_follows_the_parameter(stores: FlagStores) -> None:
    stores.put_row(STAGE, "active", now_ms())
    look()
    look()  # called by the event of the parameter that the first look put again
    assert stores.parameter(STAGE) == stores.row(STAGE) == "off"
    assert [action for action, *_ in stores.actions(STAGE)] == ["repaired", "in-force"]
    assert settled(stores)


def test_a_row_that_cannot_be_read_is_replaced_by_what_the_parameter_says(stores: FlagStores) -> None:
    stores.put_row(KILL, "perhaps", now_ms())
    look()
    assert stores.row(KILL) == stores.parameter(KILL) == "off"
    assert settled(stores)


# ---- what is missing, and what does not belong ----


@pytest.mark.parametrize(("flag", "value"), [(KILL, "on"), (SHARE, "2.5"), (SHARE, None)])
def test_a_deleted_parameter_is_created_again_with_what_the_table_holds(
    stores: FlagStores, flag: str, value: str | None
) -> None:
    if value is None:
        stores.dynamodb.delete_item(TableName=FLAG_TABLE, Key={"flag": {"S": flag}})
    else:
        stores.put(flag, value)
        look()
    stores.ssm.delete_parameter(Name=f"{PATH}/{flag}")
    look()
    look()
    expected = value or DEFAULTS[flag]
    assert stores.parameter(flag) == stores.row(flag) == expected
    assert ("repaired", "", expected) in stores.actions(flag)
    assert settled(stores)


def test_a_deleted_kill_switch_is_never_created_again_as_off(
    stores: FlagStores, printed: Callable[[], list[dict[str, Any]]]
) -> None:
    stores.put(KILL, "on")  # replicas saw it, and nothing else did
    stores.ssm.delete_parameter(Name=f"{PATH}/{KILL}")
    before = stores.state()
    look()
    assert stores.state() == before
    assert [one["flag"] for one in printed() if one["event"] == "flag gone"] == [KILL]


def test_an_unknown_parameter_is_reported_and_left_alone(
    stores: FlagStores, printed: Callable[[], list[dict[str, Any]]]
) -> None:
    for name in ("kill-switch.openai", "old/rollout-stage"):
        stores.put(name, "on")
    look()
    said = [one["flag"] for one in printed() if one["event"] == "flag unknown"]
    assert said == ["kill-switch.openai", "old/rollout-stage"]
    assert stores.parameter("kill-switch.openai") == "on"
    assert stores.row("kill-switch.openai") is None


# ---- stores that fail ----


class Failing(FlagParameters):
    """Parameter Store does not say how one flag came to its value."""

    def history(self, flag: str) -> Any:  # noqa: ANN401
        if flag == KILL:
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, "GetParameterHistory")
        return super().history(flag)


def test_a_flag_that_fails_does_not_keep_the_others(
    stores: FlagStores,
    monkeypatch: pytest.MonkeyPatch,
    printed: Callable[[], list[dict[str, Any]]],
) -> None:
    monkeypatch.setattr(flag_update, "FlagParameters", Failing)
    stores.put(KILL, "on")
    stores.put(SHARE, "2")
    look()
    assert stores.row(SHARE) == "2"
    said = printed()
    assert measured(said) == {"Refused": 0, "Replicated": 1, "Failures": 1}
    (line,) = [one for one in said if one["event"] == "flag update failed"]
    assert line["what"] == f"flag {KILL}"
    assert "ThrottlingException" in line["reason"]


@pytest.mark.usefixtures("stores")
def test_where_nothing_can_be_read_the_function_fails_and_says_so(
    monkeypatch: pytest.MonkeyPatch, printed: Callable[[], list[dict[str, Any]]]
) -> None:
    monkeypatch.setenv("FLAG_TABLE", "gone")
    with pytest.raises(ClientError, match="ResourceNotFound"):
        look()
    assert measured(printed())["Failures"] == 1


def test_without_its_record_a_change_does_not_reach_the_table(
    stores: FlagStores, monkeypatch: pytest.MonkeyPatch, printed: Callable[[], list[dict[str, Any]]]
) -> None:
    monkeypatch.setenv("AUDIT_TABLE", "gone")
    stores.put(KILL, "on")
    look()
    assert stores.row(KILL) == "off"
    assert measured(printed())["Failures"] == 1


# ---- the third tier ----


class Database:
    """What the database was told."""

    def __init__(self, fails: bool = False) -> None:
        self.values: dict[str, str] = {}
        self._fails = fails

    def write(self, rows: list[Any]) -> list[str]:
        if self._fails:
            raise ConnectionError("flag database db:5432/flags: no answer")
        self.values = {row.flag: row.value for row in rows}
        return []


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Callable[[Database], Database]:
    def use(database: Database) -> Database:
        from lambdas.flag_update import database as module

        monkeypatch.setenv("FLAG_DATABASE_HOST", "db")
        monkeypatch.setattr(module, "database_of", lambda _variables: database)
        return database

    return use


def test_the_database_is_brought_to_what_the_table_holds_at_every_look(
    stores: FlagStores, database: Callable[[Database], Database]
) -> None:
    used = database(Database())
    stores.put(KILL, "on")
    look()
    assert used.values == {**DEFAULTS, KILL: "on"}
    used.values = {}
    look()
    assert used.values == {**DEFAULTS, KILL: "on"}


def test_a_database_that_fails_keeps_nothing_from_the_table(
    stores: FlagStores,
    database: Callable[[Database], Database],
    printed: Callable[[], list[dict[str, Any]]],
) -> None:
    database(Database(fails=True))
    stores.put(KILL, "on")
    look()
    assert stores.row(KILL) == "on"
    said = printed()
    assert measured(said) == {"Refused": 0, "Replicated": 1, "Failures": 1}
    assert [one["what"] for one in said if one["event"] == "flag update failed"] == ["the database"]


def test_without_a_database_none_is_looked_for(stores: FlagStores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        cast("dict[str, Any]", __import__("sys").modules), "lambdas.flag_update.database", None
    )
    stores.put(KILL, "on")
    look()
    assert stores.row(KILL) == "on"
