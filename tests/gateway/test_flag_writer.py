"""Flags are changed by their rules; a kill gets through wherever one store still takes it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import EndpointConnectionError
from moto import mock_aws

from gateway.control.audit import AuditTable, Author, How, flag_subject
from gateway.control.flag_declaration import FlagValueError
from gateway.control.flag_rules import evidence_key, evidence_prefix
from gateway.control.flag_tiers import FlagRecord, ParameterTier, TableTier
from gateway.control.flag_writer import FlagWriter
from gateway.control.refusals import ConflictError, NoStoreTookItError, TransitionRefusedError
from gateway.control.stored_items import to_stored
from tests.gateway.stores import AUDIT_TABLE, FLAG_TABLE, FLAGS, Stores, aws_session

if TYPE_CHECKING:
    from types_boto3_dynamodb.client import DynamoDBClient
    from types_boto3_ssm.client import SSMClient

ANNA = Author("anna", How.COMMAND, "errors everywhere")
KILL = "kill-switch.bedrock"
STAGE = "rollout-stage"
SWITCHES = ["kill-switch.all", KILL, "kill-switch.google", "kill-switch.llama"]


@cache
def clients() -> tuple[SSMClient, DynamoDBClient, DynamoDBClient]:
    """The writer's own, made once, each of which can fail alone."""
    session = aws_session()
    return session.client("ssm"), session.client("dynamodb"), session.client("dynamodb")


class World:
    """The stores of flags, each with a client of its own so that one can fail alone."""

    def __init__(self) -> None:
        self.stores = Stores()
        self.stores.create_tables()
        self.ssm, self.table_client, self.audit_client = clients()
        self.audit = AuditTable(self.audit_client, AUDIT_TABLE)
        self.writer = self.writer_with(patience_s=10)

    def writer_with(self, patience_s: float) -> FlagWriter:
        return FlagWriter(
            self.ssm, self.table_client, self.audit, path=FLAGS, table=FLAG_TABLE, patience_s=patience_s
        )

    def parameter(self, name: str) -> FlagRecord | None:
        return ParameterTier(self.stores.ssm, FLAGS).read().get(name)

    def row(self, name: str) -> FlagRecord | None:
        return TableTier(self.stores.dynamodb, FLAG_TABLE).read().get(name)

    def history(self, name: str) -> list[str]:
        chain = AuditTable(self.stores.dynamodb, AUDIT_TABLE).chain(flag_subject(name))
        assert chain.problems == ()
        return [f"{each.action} {each.before}→{each.after}" for each in chain.records]

    def saw_decisions(self, count: int) -> None:
        shadow = self.parameter(STAGE)
        assert shadow is not None
        key = evidence_key(STAGE, shadow.changed_at_ms)
        item = to_stored({"flag": key, "decisions": count, "expires_at": 2_000_000_000})
        self.stores.dynamodb.put_item(TableName=FLAG_TABLE, Item=item)


@pytest.fixture
def world() -> Iterator[World]:
    with mock_aws():
        yield World()


Breaking = Callable[..., None]


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch, world: World) -> Breaking:
    """Lets every call of a store fail."""

    def down(*_arguments: object, **_named: object) -> Any:  # noqa: ANN401 - it never returns
        raise EndpointConnectionError(endpoint_url="http://store")

    def break_(*names: str) -> None:
        clients: dict[str, Any] = {
            "parameter": world.ssm, "table": world.table_client, "audit": world.audit_client,
        }  # fmt: skip
        for name in names:
            for call in ("get_paginator", "put_parameter", "put_item", "query"):
                if hasattr(clients[name], call):
                    monkeypatch.setattr(clients[name], call, down)

    return break_


@pytest.mark.parametrize("name", SWITCHES)
def test_a_kill_and_a_revival_reach_both_stores_with_the_same_moment(world: World, name: str) -> None:
    moments = []
    for text, action in (("on", "kill"), ("off", "revive")):
        made = world.writer.set(name, text, ANNA)
        parameter, row = world.parameter(name), world.row(name)
        assert parameter is not None
        assert row is not None
        assert (parameter.value, row.value) == (text, text)
        assert parameter.changed_at_ms == row.changed_at_ms == made.changed_at_ms
        assert (row.changed_by, row.why) == ("anna", "errors everywhere")
        assert (made.took, dict(made.failed)) == (("parameter", "table"), {})
        assert world.history(name)[-1].startswith(action)
        moments.append(made.changed_at_ms)
        time.sleep(0.002)
    assert moments[1] > moments[0]
    assert world.history(name) == ["kill →on", "revive on→off"]


@pytest.mark.parametrize("before", ["off", "on"])
def test_an_old_answer_of_parameter_store_is_not_taken_for_the_moment_of_a_kill(
    world: World, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    """Reads by path follow writes after a while; what is read then is the change before."""
    world.writer.set(KILL, before, ANNA)
    old = world.ssm.get_parameters_by_path(Path=FLAGS)

    class Old:
        def paginate(self, **_arguments: object) -> list[Any]:
            return [old]

    started_ms = time.time_ns() // 1_000_000
    with monkeypatch.context() as patched:
        patched.setattr(world.ssm, "get_paginator", lambda _operation: Old())
        made = world.writer.set(KILL, "on", ANNA)
    row = world.row(KILL)
    assert row is not None
    assert made.changed_at_ms == row.changed_at_ms >= started_ms


@pytest.mark.parametrize(("lost", "took"), [("parameter", "table"), ("table", "parameter")])
@pytest.mark.parametrize("text", ["on", "off"])
def test_one_store_is_enough_and_the_other_is_named(
    world: World, broken: Breaking, lost: str, took: str, text: str
) -> None:
    world.writer.set(KILL, "off" if text == "on" else "on", ANNA)
    broken(lost)
    made = world.writer.set(KILL, text, ANNA)
    assert made.took == (took,)
    assert set(made.failed) == {lost}
    kept = world.row(KILL) if took == "table" else world.parameter(KILL)
    assert kept is not None
    assert kept.value == text
    assert len(world.history(KILL)) == 2


def test_a_kill_goes_ahead_without_its_record_and_a_revival_does_not(world: World, broken: Breaking) -> None:
    broken("audit")
    made = world.writer.set(KILL, "on", ANNA)
    assert made.took == ("parameter", "table")
    assert set(made.failed) == {"audit"}
    with pytest.raises(EndpointConnectionError):
        world.writer.set(KILL, "off", ANNA)
    parameter = world.parameter(KILL)
    assert parameter is not None
    assert parameter.value == "on"
    assert world.history(KILL) == []


def test_a_kill_that_no_store_took_says_so_and_its_records_do_too(world: World, broken: Breaking) -> None:
    broken("parameter", "table")
    with pytest.raises(NoStoreTookItError, match=r"no store took flag kill-switch\.bedrock"):
        world.writer.set(KILL, "on", ANNA)
    assert world.parameter(KILL) is None
    assert world.row(KILL) is None
    assert world.history(KILL) == ["kill →on", "refused on→"]


@pytest.mark.parametrize("hanging", ["parameter", "audit"])
def test_a_kill_does_not_wait_for_a_store_that_hangs(
    world: World, monkeypatch: pytest.MonkeyPatch, hanging: str
) -> None:
    over = threading.Event()
    client: Any = world.ssm if hanging == "parameter" else world.audit_client
    for call in ("get_paginator", "put_parameter", "query", "put_item"):
        if hasattr(client, call):
            real = getattr(client, call)

            def hang(*arguments: Any, real: Any = real, **named: Any) -> Any:  # noqa: ANN401 - passed on
                over.wait(20)
                return real(*arguments, **named)

            monkeypatch.setattr(client, call, hang)
    writer = world.writer_with(patience_s=0.2)
    killing = threading.Thread(target=lambda: writer.set(KILL, "on", ANNA))
    started_s = time.monotonic()
    killing.start()
    try:
        while world.row(KILL) is None and time.monotonic() - started_s < 10:
            time.sleep(0.02)
        took_s = time.monotonic() - started_s
    finally:
        over.set()
        killing.join(20)
    row = world.row(KILL)
    assert row is not None
    assert row.value == "on"
    assert took_s < 2.5  # three waits of 0.2 s and a machine that has other things to do
    assert world.history(KILL) == ["kill →on"]


def test_a_revival_is_newer_than_a_kill_from_a_clock_that_runs_ahead(world: World) -> None:
    ahead_ms = time.time_ns() // 1_000_000 + 60_000
    world.stores.put_flag_item(KILL, "on", ahead_ms)
    made = world.writer.set(KILL, "off", ANNA)
    row = world.row(KILL)
    assert row is not None
    assert (row.value, row.changed_at_ms) == ("off", ahead_ms + 1)
    assert (made.before, made.changed_at_ms) == ("on", ahead_ms + 1)


def test_a_row_that_was_written_meanwhile_is_written_with_a_newer_moment(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = world.table_client.put_item
    ahead_ms = time.time_ns() // 1_000_000 + 60_000

    def overtaken(**arguments: Any) -> Any:  # noqa: ANN401 - passed on
        monkeypatch.setattr(world.table_client, "put_item", put)
        world.stores.put_flag_item(KILL, "off", ahead_ms)
        return put(**arguments)

    monkeypatch.setattr(world.table_client, "put_item", overtaken)
    assert world.writer.set(KILL, "on", ANNA).failed == {}
    row = world.row(KILL)
    assert row is not None
    assert (row.value, row.changed_at_ms) == ("on", ahead_ms + 1)


def test_killing_twice_is_no_mistake(world: World) -> None:
    world.writer.set(KILL, "on", ANNA)
    assert world.writer.set(KILL, "ON ", ANNA).after == "on"
    assert world.history(KILL) == ["kill →on", "kill on→on"]


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("kill-switch.mars", "on", "which is no flag"),
        (KILL, "maybe", "neither on nor off"),
        (STAGE, "lunar", "none of off, shadow, canary, active"),
        ("rollout.canary-share", "6", "above 5"),
        ("rollout.canary-share", "-1", "below 0"),
        ("rollout.shadow-decisions", "1.5", "no whole number"),
        ("rollout.shadow-decisions", "many", "no whole number"),
    ],
)
def test_what_is_no_flag_or_no_value_of_it_changes_nothing(
    world: World, name: str, text: str, reason: str
) -> None:
    with pytest.raises(FlagValueError, match=reason):
        world.writer.set(name, text, ANNA)
    assert ParameterTier(world.stores.ssm, FLAGS).read() == {}
    assert world.history(name) == []


def test_a_flag_is_set_in_its_canonical_form_in_tier_one_alone(world: World) -> None:
    made = world.writer.set("rollout.canary-share", " 2.50 ", ANNA)
    assert (made.before, made.after, made.took) == ("1", "2.5", ("parameter",))
    parameter = world.parameter("rollout.canary-share")
    assert parameter is not None
    assert (parameter.value, parameter.changed_at_ms) == ("2.5", made.changed_at_ms)
    assert world.row("rollout.canary-share") is None
    assert world.history("rollout.canary-share") == ["set 1→2.5"]


def test_a_flag_that_has_the_value_already_is_left_alone(world: World) -> None:
    """To put it again would give it another moment, and a stage would lose its evidence."""
    world.writer.set(STAGE, "shadow", ANNA)
    with pytest.raises(TransitionRefusedError, match="rollout-stage is shadow already"):
        world.writer.set(STAGE, "shadow", ANNA)
    assert world.history(STAGE) == ["set off→shadow"]


def test_the_stages_are_gone_through_one_by_one_with_evidence(world: World) -> None:
    with pytest.raises(TransitionRefusedError, match=r"cannot become canary at once; .* next is shadow"):
        world.writer.set(STAGE, "canary", ANNA)
    world.writer.set(STAGE, "shadow", ANNA)
    with pytest.raises(TransitionRefusedError, match="0 decisions were made in shadow, it takes 1000"):
        world.writer.set(STAGE, "canary", ANNA)
    world.saw_decisions(999)
    with pytest.raises(TransitionRefusedError, match="999 decisions"):
        world.writer.set(STAGE, "canary", ANNA)
    world.saw_decisions(1000)
    world.writer.set(STAGE, "canary", ANNA)
    world.writer.set(STAGE, "active", ANNA)
    world.writer.set(STAGE, "off", ANNA)
    assert world.history(STAGE) == [
        "set off→shadow", "set shadow→canary", "set canary→active", "set active→off",
    ]  # fmt: skip


def test_evidence_of_an_earlier_shadow_stage_does_not_count(world: World) -> None:
    world.writer.set(STAGE, "shadow", ANNA)
    world.saw_decisions(5000)
    world.writer.set(STAGE, "off", ANNA)
    time.sleep(0.002)
    world.writer.set(STAGE, "shadow", ANNA)
    with pytest.raises(TransitionRefusedError, match="0 decisions"):
        world.writer.set(STAGE, "canary", ANNA)


def test_a_stage_that_was_overwritten_and_put_back_keeps_its_evidence(world: World) -> None:
    world.writer.set(STAGE, "shadow", ANNA)
    shadow = world.parameter(STAGE)
    assert shadow is not None
    world.stores.put_flag_item(STAGE, "shadow", shadow.changed_at_ms)
    world.saw_decisions(600)
    for text in ("nonsense", "shadow"):
        time.sleep(0.002)
        world.stores.put_flag(STAGE, text)
    with pytest.raises(TransitionRefusedError, match="600 decisions"):
        world.writer.set(STAGE, "canary", ANNA)
    world.saw_decisions(400)
    assert world.writer.set(STAGE, "canary", ANNA).after == "canary"


def test_evidence_that_is_no_count_counts_nothing(world: World) -> None:
    world.writer.set(STAGE, "shadow", ANNA)
    for key, decisions in (("soon", 5000), ("1", 5000), ("99999999999999", "5000")):
        item = to_stored({"flag": f"{evidence_prefix(STAGE)}{key}", "decisions": decisions})
        world.stores.dynamodb.put_item(TableName=FLAG_TABLE, Item=item)
    with pytest.raises(TransitionRefusedError, match="0 decisions"):
        world.writer.set(STAGE, "canary", ANNA)


def test_how_much_evidence_it_takes_is_a_flag_too(world: World) -> None:
    world.writer.set("rollout.shadow-decisions", "2", ANNA)
    world.writer.set(STAGE, "shadow", ANNA)
    world.saw_decisions(2)
    assert world.writer.set(STAGE, "canary", ANNA).after == "canary"


def test_going_down_takes_neither_steps_nor_evidence(world: World) -> None:
    world.stores.put_flag(STAGE, "active")
    assert world.writer.set(STAGE, "shadow", ANNA).after == "shadow"


def test_of_two_who_set_at_once_exactly_one_does(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    append_after = world.audit.append_after

    def overtaken(end: Any, change: Any) -> Any:  # noqa: ANN401 - passed on
        monkeypatch.setattr(world.audit, "append_after", append_after)
        world.writer.set("rollout.canary-share", "3", ANNA)
        return append_after(end, change)

    monkeypatch.setattr(world.audit, "append_after", overtaken)
    with pytest.raises(ConflictError):
        world.writer.set("rollout.canary-share", "2", ANNA)
    parameter = world.parameter("rollout.canary-share")
    assert parameter is not None
    assert parameter.value == "3"
    assert world.history("rollout.canary-share") == ["set 1→3"]


@pytest.mark.parametrize("lost", ["parameter", "audit", "table"])
def test_a_flag_that_is_no_switch_needs_its_stores(world: World, broken: Breaking, lost: str) -> None:
    world.writer.set(STAGE, "shadow", ANNA)
    broken(lost)
    with pytest.raises(EndpointConnectionError):
        world.writer.set(STAGE, "canary", ANNA)
    parameter = world.parameter(STAGE)
    assert parameter is not None
    assert parameter.value == "shadow"
    assert world.history(STAGE) == ["set off→shadow"]


def test_a_write_that_fails_is_recorded_as_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(**_arguments: object) -> None:
        raise EndpointConnectionError(endpoint_url="http://ssm")

    monkeypatch.setattr(world.ssm, "put_parameter", down)
    with pytest.raises(EndpointConnectionError):
        world.writer.set("rollout.canary-share", "2", ANNA)
    assert world.history("rollout.canary-share") == ["set 1→2", "refused 2→1"]
