"""Flags in the embedded cloud: its own events call the functions, with the permissions of their roles."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.end_to_end.flag_replicas import (
    KILL_ALL,
    PATH,
    Replicas,
    described,
    measure,
    running_replicas,
    without_events,
)
from tests.local.embedded_cloud import RunningCloud
from tests.privilege.clients import admin, outputs

SHARE, STAGE = "rollout.canary-share", "rollout-stage"
ALARM = "ai-orchestration-local-ErrorRate"
PROMISED_S = 5.0
WAIT_S = 15.0
LATER_CHECKED_S = 1.0


class Tiers:
    """What operators see of flags in the deployed stores."""

    def __init__(self, cloud: RunningCloud) -> None:
        self._ssm, self._dynamodb = admin(cloud, "ssm"), admin(cloud, "dynamodb")
        self._table = outputs(cloud, "feature-flags")["FlagTableName"]
        self._audit = outputs(cloud, "model-registry")["AuditTableName"]

    def put(self, flag: str, value: str) -> None:
        self._ssm.put_parameter(Name=f"{PATH}/{flag}", Value=value, Type="String", Overwrite=True)

    def delete(self, flag: str) -> None:
        self._ssm.delete_parameter(Name=f"{PATH}/{flag}")

    def parameter(self, flag: str) -> str | None:
        found = self._ssm.get_parameters(Names=[f"{PATH}/{flag}"])["Parameters"]
        return found[0]["Value"] if found else None

    def row(self, flag: str) -> str | None:
        item = self._dynamodb.get_item(TableName=self._table, Key={"flag": {"S": flag}}).get("Item", {})
        value: str | None = item.get("value", {}).get("S")
        return value

    def both(self, flag: str) -> tuple[str | None, str | None]:
        return self.parameter(flag), self.row(flag)

    def newest_record(self, flag: str) -> dict[str, Any]:
        items = self._dynamodb.query(
            TableName=self._audit,
            KeyConditionExpression="subject = :subject",
            ExpressionAttributeValues={":subject": {"S": f"flag#{flag}"}},
            ScanIndexForward=False,
            Limit=1,
        )["Items"]
        return {name: next(iter(value.values())) for name, value in items[0].items()} if items else {}


def eventually(what: Callable[[], object], expected: object) -> None:
    deadline = time.monotonic() + WAIT_S
    while (found := what()) != expected:
        assert time.monotonic() < deadline, f"{found!r} instead of {expected!r}"
        time.sleep(0.05)


@pytest.fixture
def tiers(embedded_cloud: RunningCloud) -> Iterator[Tiers]:
    """The tiers, which end as they are declared."""
    opened = Tiers(embedded_cloud)
    declared = {SHARE: "1", STAGE: "off", KILL_ALL: "off"}
    yield opened
    for flag, value in declared.items():
        opened.put(flag, value)
    for flag, value in declared.items():
        eventually(lambda flag=flag: opened.both(flag), (value, value))  # type: ignore[misc]


def flag_update(cloud: RunningCloud) -> str:
    (name,) = [
        one["FunctionName"]
        for one in admin(cloud, "lambda").list_functions()["Functions"]
        if one["Handler"] == "lambdas.flag_update.handler.handler"
    ]
    return str(name)


def test_a_change_reaches_the_table_by_its_event_with_who_made_it(tiers: Tiers) -> None:
    tiers.put(SHARE, "2")
    eventually(lambda: tiers.row(SHARE), "2")
    record = tiers.newest_record(SHARE)
    assert (record["action"], record["to"], record["how"]) == ("in-force", "2", "replication")
    assert record["who"].startswith("arn:aws:iam::")


def test_a_wrong_value_and_a_forbidden_step_are_taken_back_by_their_events(tiers: Tiers) -> None:
    tiers.put(SHARE, "1")
    eventually(lambda: tiers.row(SHARE), "1")
    tiers.put(SHARE, "6")
    eventually(lambda: tiers.parameter(SHARE), "1")
    tiers.put(STAGE, "active")
    eventually(lambda: tiers.parameter(STAGE), "off")
    assert (tiers.newest_record(SHARE)["action"], tiers.newest_record(STAGE)["action"]) == (
        "refused",
        "refused",
    )


def test_a_deleted_parameter_comes_back_by_its_event(tiers: Tiers) -> None:
    tiers.put(KILL_ALL, "on")
    eventually(lambda: tiers.row(KILL_ALL), "on")
    tiers.delete(KILL_ALL)
    eventually(lambda: tiers.parameter(KILL_ALL), "on")


def test_what_no_event_told_is_found_by_the_schedules_call(
    tiers: Tiers, embedded_cloud: RunningCloud
) -> None:
    with without_events(embedded_cloud):
        tiers.put(SHARE, "3")
        time.sleep(LATER_CHECKED_S)
        assert tiers.row(SHARE) != "3"
        admin(embedded_cloud, "lambda").invoke(
            FunctionName=flag_update(embedded_cloud), Payload=json.dumps({"reconcile": True})
        )
        assert tiers.row(SHARE) == "3"


def test_an_alarm_pulls_the_kill_switch_and_an_operator_revives(
    tiers: Tiers, embedded_cloud: RunningCloud
) -> None:
    alarms = admin(embedded_cloud, "cloudwatch")
    alarms.set_alarm_state(AlarmName=ALARM, StateValue="ALARM", StateReason="callers see errors")
    try:
        eventually(lambda: tiers.both(KILL_ALL), ("on", "on"))
        eventually(lambda: tiers.newest_record(KILL_ALL).get("how"), "alarm")
        record = tiers.newest_record(KILL_ALL)
        assert record["who"].endswith(f"alarm:{ALARM}")
        assert "callers see errors" in record["why"]
    finally:
        alarms.set_alarm_state(AlarmName=ALARM, StateValue="OK", StateReason="it was a drill")
    tiers.put(KILL_ALL, "off")
    eventually(lambda: tiers.both(KILL_ALL), ("off", "off"))


# ---- three replicas, no events ----


@pytest.fixture(scope="module")
def replicas(embedded_cloud: RunningCloud) -> Iterator[Replicas]:
    with without_events(embedded_cloud), running_replicas(embedded_cloud) as running:
        yield running


def test_three_replicas_obey_within_five_seconds_without_any_event(replicas: Replicas) -> None:
    """`make kill-switch-times` does it fifty times."""
    times = measure(replicas, 3, seed=1, limit_s=60)
    assert max(max(of) for of in times.values()) <= PROMISED_S, described(times)


def test_they_obey_the_table_while_parameter_store_is_lost(replicas: Replicas) -> None:
    replicas.lines["SSM"].cut()
    try:
        for value, answering in (("on", False), ("off", True)):
            took = replicas.time_until(answering, lambda value=value: replicas.put_row(value))  # type: ignore[misc]
            assert took <= PROMISED_S
    finally:
        replicas.lines["SSM"].mend()


def test_what_is_killed_stays_killed_when_every_tier_is_lost(replicas: Replicas) -> None:
    assert replicas.time_until(False, lambda: replicas.put("on")) <= PROMISED_S
    for line in replicas.lines.values():
        line.cut()
    try:
        replicas.put("off")
        time.sleep(PROMISED_S)
        assert replicas.answering() == [False, False, False]
    finally:
        for line in replicas.lines.values():
            line.mend()
    assert replicas.time_until(True, lambda: replicas.put("off")) <= 2 * PROMISED_S


def test_the_function_is_told_the_name_of_the_deployed_alarm(embedded_cloud: RunningCloud) -> None:
    functions = admin(embedded_cloud, "lambda").list_functions()["Functions"]
    (told,) = [
        one["Environment"]["Variables"]["SWITCH_OF_ALARM"]
        for one in functions
        if one["Handler"] == "lambdas.kill_switch.handler.handler"
    ]
    assert json.loads(told) == {ALARM: KILL_ALL}
