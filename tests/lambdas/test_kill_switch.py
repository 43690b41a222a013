"""The kill-switch function on simulated stores: what an alarm turns on, and what it leaves alone."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from lambdas import bounded_client
from lambdas.kill_switch import handler as kill_switch
from lambdas.kill_switch.tiers import ParameterTier, Ssm, TableTier
from tests.lambdas.flag_stores import CREDENTIALS, PATH, FlagStores, flag_stores, lines

ALL, BEDROCK = "kill-switch.all", "kill-switch.bedrock"
SWITCHES = {"too-many-errors": ALL, "bedrock-errors": BEDROCK}
ALARM_ARN = "arn:aws:cloudwatch:eu-central-1:111122223333:alarm:"
MINUTE = timedelta(minutes=1)


def now() -> datetime:
    return datetime.now(UTC)


def milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def message(
    alarm: str = "too-many-errors", state: str = "ALARM", since: datetime | None = None, **other: object
) -> dict[str, object]:
    moment = (since or now()).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"
    content = {
        "AlarmName": alarm,
        "AlarmArn": f"{ALARM_ARN}{alarm}",
        "OldStateValue": "OK",
        "NewStateValue": state,
        "NewStateReason": "Threshold Crossed: 3 datapoints were above 5",
        "StateChangeTime": moment,
        **other,
    }
    return {"EventSource": "aws:sns", "Sns": {"TopicArn": "arn", "Message": json.dumps(content)}}


def arrive(*records: object) -> None:
    kill_switch.handler({"Records": list(records)}, None)


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> Iterator[FlagStores]:
    """Both switches are off in both tiers, since a while."""
    with flag_stores() as opened:
        monkeypatch.setenv("SWITCH_OF_ALARM", json.dumps(SWITCHES))
        for flag in (ALL, BEDROCK):
            opened.put(flag, "off")
            opened.put_row(flag, "off", milliseconds(now() - MINUTE))
        time.sleep(0.002)  # the alarm goes off afterwards, by a clock of milliseconds
        yield opened


@pytest.fixture
def printed(stores: FlagStores, capsys: pytest.CaptureFixture[str]) -> Callable[[], list[dict[str, Any]]]:
    assert stores.rows()
    capsys.readouterr()
    return lambda: lines(capsys.readouterr().out)


def both(stores: FlagStores, flag: str = ALL) -> tuple[str, str | None]:
    return stores.parameter(flag), stores.row(flag)


def test_an_alarm_turns_its_switch_on_in_both_tiers_and_records_it(stores: FlagStores) -> None:
    since = now()
    arrive(message(since=since))
    assert both(stores) == ("on", "on")
    assert both(stores, BEDROCK) == ("off", "off")
    row = stores.rows()[ALL]
    assert int(row["changed_at_ms"]) == milliseconds(
        since.replace(microsecond=since.microsecond // 1000 * 1000)
    )
    (record,) = stores.audit(ALL)
    assert (record["action"], record["from"], record["to"], record["how"]) == ("kill", "off", "on", "alarm")
    assert record["who"] == row["changed_by"] == f"{ALARM_ARN}too-many-errors"
    assert record["why"] == row["why"]
    assert "Threshold Crossed" in record["why"]


def test_several_messages_are_all_obeyed_whatever_stands_between_them(stores: FlagStores) -> None:
    arrive(message(), {"Sns": {"Message": "no JSON"}}, message("bedrock-errors"))
    assert both(stores) == both(stores, BEDROCK) == ("on", "on")


@pytest.mark.parametrize("state", ["OK", "INSUFFICIENT_DATA", "alarm", ""])
def test_every_other_state_changes_nothing(stores: FlagStores, state: str) -> None:
    arrive(message(state=state))
    assert both(stores) == ("off", "off")
    stores.put(ALL, "on")
    arrive(message(state=state))
    assert both(stores) == ("on", "off")
    assert stores.actions(ALL) == []


def test_an_alarm_that_is_not_named_changes_nothing(
    stores: FlagStores, printed: Callable[[], list[dict[str, Any]]]
) -> None:
    before = stores.state()
    arrive(message("disk-full"))
    assert stores.state() == before
    assert printed()[0] == {
        "event": "message without effect",
        "alarm": "disk-full",
        "reason": "the alarm turns no switch on",
    }


def test_a_message_that_comes_twice_kills_once(stores: FlagStores) -> None:
    twice = message()
    arrive(twice)
    after = stores.state()
    arrive(twice, twice)
    assert stores.state() == after


@pytest.mark.parametrize("revived", ["parameter", "table"])
def test_a_late_message_does_not_kill_what_was_revived_since(stores: FlagStores, revived: str) -> None:
    late = message(since=now() - MINUTE / 2)
    if revived == "parameter":
        stores.put(ALL, "off")
    else:
        stores.put_row(ALL, "off", milliseconds(now()))
    before = stores.state()
    arrive(late)
    assert stores.state() == before


def test_a_repeated_message_does_not_kill_what_was_revived_after_the_first(stores: FlagStores) -> None:
    repeated = message()
    arrive(repeated)
    stores.put(ALL, "off")
    arrive(repeated)
    assert stores.parameter(ALL) == "off"


def test_an_alarm_from_the_future_does_not_keep_operators_from_reviving(stores: FlagStores) -> None:
    arrive(message(since=now() + 10 * MINUTE))
    assert both(stores) == ("on", "on")
    assert int(stores.rows()[ALL]["changed_at_ms"]) <= milliseconds(now())


def test_a_switch_without_parameter_and_row_is_turned_on(stores: FlagStores) -> None:
    stores.ssm.delete_parameter(Name=f"{PATH}/{ALL}")
    stores.dynamodb.delete_item(TableName="flags", Key={"flag": {"S": ALL}})
    arrive(message())
    assert both(stores) == ("on", "on")


# ---- tiers that fail ----


def unavailable(*_arguments: object) -> Any:  # noqa: ANN401 - it never returns
    raise ClientError({"Error": {"Code": "InternalServerError", "Message": "no answer"}}, "Any")


def lose(monkeypatch: pytest.MonkeyPatch, tier: type) -> None:
    for method in ("read", "turn_on"):
        monkeypatch.setattr(tier, method, unavailable)


def failures(printed: list[dict[str, Any]]) -> int:
    (line,) = [one for one in printed if one["event"] == "flags measured"]
    return int(line["Failures"])


@pytest.mark.parametrize(("lost", "result"), [(ParameterTier, ("off", "on")), (TableTier, ("on", "off"))])
def test_one_tier_is_enough(
    stores: FlagStores,
    monkeypatch: pytest.MonkeyPatch,
    printed: Callable[[], list[dict[str, Any]]],
    lost: type,
    result: tuple[str, str],
) -> None:
    lose(monkeypatch, lost)
    arrive(message())
    assert both(stores) == result
    assert stores.actions(ALL) == [("kill", "off", "on")]
    assert failures(printed()) == 2


@pytest.mark.parametrize(("hangs", "works"), [(ParameterTier, TableTier), (TableTier, ParameterTier)])
@pytest.mark.parametrize("method", ["read", "turn_on"])
def test_the_tier_that_works_does_not_wait_for_one_that_hangs(
    stores: FlagStores,
    monkeypatch: pytest.MonkeyPatch,
    hangs: type,
    works: type[ParameterTier] | type[TableTier],
    method: str,
) -> None:
    """What hangs goes on hanging until the other tier is written, as it would for ever."""
    monkeypatch.setattr(kill_switch, "PATIENCE_S", 0.2)
    is_written, waited = threading.Event(), []
    turn_on = works.turn_on

    def hang(*_arguments: object) -> None:
        waited.append(is_written.wait(5))
        raise TimeoutError

    def write(*arguments: Any) -> None:  # noqa: ANN401 - passed on as they are
        turn_on(*arguments)
        is_written.set()

    monkeypatch.setattr(hangs, method, hang)
    monkeypatch.setattr(works, "turn_on", write)
    arrive(message())
    assert waited == [True]
    assert "on" in both(stores)
    assert stores.actions(ALL) == [("kill", "off", "on")]


def test_no_call_to_a_store_takes_longer_than_the_switch_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two and a half seconds to connect and to answer, and half of it to be heard before it is written."""
    assert kill_switch.PATIENCE_S <= 1.5
    bounded_client.open_client.cache_clear()
    with socket.create_server(("127.0.0.1", 0)) as silent, monkeypatch.context() as patched:
        for name, value in CREDENTIALS.items():
            patched.setenv(name, value)
        patched.setenv("AWS_ENDPOINT_URL_SSM", f"http://127.0.0.1:{silent.getsockname()[1]}")
        client = cast("Ssm", kill_switch.open_client("ssm"))
        start_s = time.monotonic()
        with pytest.raises(ReadTimeoutError):
            client.get_parameter(Name="x")
        took_s = time.monotonic() - start_s
    bounded_client.open_client.cache_clear()
    assert took_s < 2.5
    connect_s = bounded_client.CONNECT_TIMEOUT_S
    assert kill_switch.READ_TIMEOUT_S + connect_s <= 2.5


def test_without_any_tier_the_function_fails_so_that_it_is_called_again(
    stores: FlagStores, monkeypatch: pytest.MonkeyPatch, printed: Callable[[], list[dict[str, Any]]]
) -> None:
    with monkeypatch.context() as patched:
        for tier in (ParameterTier, TableTier):
            lose(patched, tier)
        with pytest.raises(kill_switch.NoTierError, match=ALL):
            arrive(message(), message("bedrock-errors"))
    assert failures(printed()) == 8
    assert stores.actions(ALL) == []


def test_the_switch_does_not_wait_for_its_record(
    stores: FlagStores, monkeypatch: pytest.MonkeyPatch, printed: Callable[[], list[dict[str, Any]]]
) -> None:
    late = message()
    with monkeypatch.context() as patched:
        patched.setenv("AUDIT_TABLE", "gone")
        with pytest.raises(kill_switch.NoRecordError, match=ALL):
            arrive(late)
    assert both(stores) == ("on", "on")
    said = printed()
    assert failures(said) == 1
    assert [one["tier"] for one in said if one["event"] == "switch turned on"] == ["table", "parameter"]
    for _call_of_lambda in range(2):
        arrive(late)
        assert stores.actions(ALL) == [("kill", "", "on")]


def test_what_is_put_by_mistake_after_the_alarm_keeps_nothing_from_being_killed(stores: FlagStores) -> None:
    late = message(since=now() - MINUTE / 2)
    stores.put(ALL, "of")
    arrive(late)
    assert both(stores) == ("on", "on")


# ---- what is no message of CloudWatch ----


@pytest.mark.parametrize("event", [None, [], {}, {"Records": []}, {"Records": "x"}, {"source": "aws.ssm"}])
def test_an_event_that_is_not_from_sns_is_refused_with_one_line(
    stores: FlagStores, printed: Callable[[], list[dict[str, Any]]], event: object
) -> None:
    before = stores.state()
    kill_switch.handler(event, None)
    assert stores.state() == before
    (line,) = printed()
    assert line["event"] == "event refused"


@pytest.mark.parametrize(
    "record",
    [
        "x",
        {},
        {"Sns": "x"},
        {"Sns": {"Message": 5}},
        {"Sns": {"Message": "[]"}},
        message(AlarmName=5),
        message(AlarmArn=None),
        message(NewStateValue=True),
        message(StateChangeTime="yesterday"),
        message(StateChangeTime="2026-11-21T12:00:00.000"),
    ],
)
def test_a_message_that_is_not_from_cloudwatch_is_refused_with_one_line(
    stores: FlagStores, printed: Callable[[], list[dict[str, Any]]], record: object
) -> None:
    before = stores.state()
    arrive(record)
    assert stores.state() == before
    assert [one["event"] for one in printed()] == ["message refused", "flags measured"]
