"""What happens to flags: operators, administrators, alarms, functions, events, replicas."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from gateway.control.audit import AuditTable, Author, How
from gateway.control.flag_declaration import FlagValueError
from gateway.control.flag_declarations import DECLARED
from gateway.control.flag_writer import FlagWriter
from gateway.control.refusals import ConflictError, NoStoreTookItError, TransitionRefusedError
from lambdas.flag_update import handler as flag_update
from lambdas.kill_switch import handler as kill_switch
from tests.control_plane.cloud import (
    ALARMS,
    AUDIT_TABLE,
    FLAG_TABLE,
    FLAGS,
    Cloud,
)
from tests.control_plane.flag_ledger import FlagLedger, Intent, canonical, is_switch
from tests.control_plane.replica import SWITCHES, TIERS, Replica

FUNCTION = SimpleNamespace(
    invoked_function_arn="arn:aws:lambda:eu-central-1:111122223333:function:flag-update"
)
RECONCILE = {"reconcile": True}
REFUSALS = (
    FlagValueError,
    TransitionRefusedError,
    ConflictError,
    NoStoreTookItError,
    BotoCoreError,
    ClientError,
)


class FlagOperations:
    """Every method whose name begins with `do_` is an operation."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.ledger = FlagLedger(cloud)
        self.events: list[dict[str, Any]] = []
        self.alarms: list[dict[str, Any]] = []
        self.replicas = [Replica(cloud, f"replica-{number}", ahead_s=0.0) for number in range(3)]
        for name in SWITCHES:
            self.ledger.meant(name, Intent(False, cloud.now_ms(), cloud.now_ms() + 50, sure=True))
        for name, declaration in DECLARED.items():
            cloud.parameters.put_parameter(
                Name=f"{FLAGS}/{name}", Value=declaration.default, Type="String", caller="deployment"
            )
        cloud.parameters.watches.append(self._event)
        self.ledger.watch()
        flag_update.handler(RECONCILE, FUNCTION)

    # ---- people ------------------------------------------------------------------------------------

    def do_put_parameter(self, flag: str, text: str) -> None:
        """An operator, in the console."""
        start_ms = self.cloud.now_ms()
        self._operator("put_parameter", flag, Value=text, Type="String", Overwrite=True)
        value = canonical(flag, text)
        if is_switch(flag) and value is not None:
            self.ledger.meant(flag, Intent(value == "on", start_ms, self.cloud.now_ms(), sure=True))

    def do_delete_parameter(self, flag: str) -> None:
        """What the parameter alone said is known to nobody but replicas then."""
        self._operator("delete_parameter", flag)
        if is_switch(flag):
            self.ledger.intents[flag] = [replace(each, sure=False) for each in self.ledger.intents[flag]]

    def _operator(self, call: str, flag: str, **arguments: object) -> None:
        try:
            getattr(self.cloud.parameters, call)(Name=f"{FLAGS}/{flag}", caller="operator", **arguments)
        except ClientError as error:
            assert error.response["Error"]["Code"] == "ParameterNotFound"  # noqa: PT017

    def do_write(self, flag: str, text: str, who: str) -> None:
        """An administrator, by the admin interface or the command line."""
        tables, parameters = self.cloud.tables_for(who), self.cloud.parameters_for(who)
        audit = AuditTable(tables, AUDIT_TABLE, now=self.cloud.now)
        writer = FlagWriter(parameters, tables, audit, path=FLAGS, table=FLAG_TABLE, now_ms=self.cloud.now_ms)
        author = Author(who, How.COMMAND, "by chance")
        value = canonical(flag, text)
        before = len(self.cloud.records(f"flag#{flag}"))
        with self._intent(flag, value):
            change = writer.set(flag, text, author)
            assert change.after == value
            records = self.cloud.records(f"flag#{flag}")[before:]
            recorded = any(each["who"] == who and each["to"] == value for each in records)
            assert recorded or "audit" in change.failed, f"{flag} was set by {who} without a record"

    @contextmanager
    def _intent(self, flag: str, value: str | None) -> Iterator[None]:
        """Notes what was wanted, and whether it was confirmed."""
        start_ms, sure, wanted = self.cloud.now_ms(), False, True
        try:
            yield
            sure = True
        except (FlagValueError, TransitionRefusedError):
            wanted = False
        except REFUSALS:
            pass
        finally:
            if is_switch(flag) and value is not None and wanted:
                self.ledger.meant(flag, Intent(value == "on", start_ms, self.cloud.now_ms(), sure))

    # ---- alarms ------------------------------------------------------------------------------------

    def do_alarm(self, name: str, age_ms: int) -> None:
        """An alarm goes off, or its message comes late."""
        self._obey({"alarm": name, "since_ms": self.cloud.now_ms() - age_ms})

    def do_alarm_again(self) -> None:
        """SNS calls once more: after a failure, or for no reason."""
        if self.alarms:
            self._obey(self.alarms[-1])

    def _obey(self, alarm: dict[str, Any]) -> None:
        flag = ALARMS[alarm["alarm"]]
        if alarm not in self.alarms:
            self.alarms.append(alarm)
        sure = False
        try:
            kill_switch.handler(_message(alarm), None)
            sure = True
            alarm["obeyed"] = True
        except (kill_switch.NoTierError, kill_switch.NoRecordError, *REFUSALS):
            pass
        finally:
            end_ms = self.cloud.now_ms()
            self.ledger.meant(flag, Intent(True, alarm["since_ms"], end_ms, sure))

    # ---- functions and their events ----------------------------------------------------------------

    def do_reconcile(self) -> None:
        self._look(RECONCILE)

    def do_deliver_event(self, number: int, keep: bool) -> None:
        """Any of the events, in any order; one that is kept comes again."""
        if self.events:
            number %= len(self.events)
            self._look(self.events[number] if keep else self.events.pop(number))

    def do_lose_event(self, number: int) -> None:
        if self.events:
            self.events.pop(number % len(self.events))
            self.cloud.gate.happened["event lost"] += 1

    def _look(self, event: dict[str, Any]) -> None:
        with suppress(BotoCoreError, ClientError):
            flag_update.handler(event, FUNCTION)

    def _event(self, name: str, before: object, after: object, caller: str) -> None:
        del caller
        if not name.startswith(f"{FLAGS}/"):
            return
        operation = "Delete" if after is None else "Update" if before else "Create"
        detail = {"name": name, "operation": operation}
        self.events.append({"source": "aws.ssm", "detail-type": "Parameter Store Change", "detail": detail})

    # ---- replicas ----------------------------------------------------------------------------------

    def do_replica_reads(self, replica: int, tiers: tuple[str, ...]) -> None:
        for tier in tiers:
            self.replicas[replica].read(tier)

    def do_replica_restarts(self, replica: int, ahead_s: float) -> None:
        name = self.replicas[replica].name
        self.replicas[replica] = Replica(self.cloud, name, ahead_s=ahead_s)

    def do_replica_answers(self, replica: int, requests: int) -> None:
        """Requests are answered, and counted where the stage is shadow."""
        flags = self.replicas[replica].flags
        for _ in range(requests):
            flags.evidence.answered(f"request-{self.cloud.clock.now_s()}", flags.value)
        self.replicas[replica].evidence.flush()

    # ---- what must hold ----------------------------------------------------------------------------

    def check(self) -> None:
        """After every operation."""
        self.ledger.check_database()
        for replica in self.replicas:
            replica.check()

    def check_settled(self) -> None:
        """With every store back: one look, and all tiers and replicas agree."""
        for alarm in self.alarms:
            if "obeyed" not in alarm:
                self._obey(alarm)
        self.events.clear()
        flag_update.handler(RECONCILE, FUNCTION)
        self.ledger.check_database()
        values = self._values_of_the_tiers()
        for replica in self.replicas:
            for tier in TIERS:
                replica.read(tier)
        for flag, (first, second, third) in values.items():
            left_alone = self._is_left_alone(flag, first, second)
            assert second == third == (second if left_alone else first), (
                f"{flag} is {first}, {second}, {third} in the three tiers"
            )
            for replica in () if left_alone else self.replicas:
                told = replica.flags.value.texts()[flag]
                assert told == first, f"{replica.name} has {flag} {told}, and the tiers {first}"
        for flag in SWITCHES:
            expected = self.ledger.switch_expected(flag)
            assert expected is None or values[flag][1] == ("on" if expected else "off"), (
                f"{flag} should be {expected}: {self.ledger.intents[flag][-4:]}"
            )
        self.ledger.settle_owed()
        assert not self.ledger.owed, f"in force without a record: {self.ledger.owed}"
        before = self._state()
        flag_update.handler(RECONCILE, FUNCTION)
        assert self._state() == before, "a second look changed something"

    def _is_left_alone(self, flag: str, first: str | None, second: str | None) -> bool:
        """Whether off is in force, and the parameter says nothing or an older on: nobody puts off there."""
        if not is_switch(flag) or second != "off":
            return False
        rows = {each["flag"]: each for each in self.cloud.dynamodb.plain(FLAG_TABLE)}
        versions = self.cloud.parameters.versions.get(f"{FLAGS}/{flag}")
        return first is None or not versions or versions[-1].changed_at_ms < rows[flag]["changed_at_ms"]

    def _values_of_the_tiers(self) -> dict[str, tuple[str | None, str | None, str | None]]:
        rows = {
            each["flag"]: each["value"] for each in self.cloud.dynamodb.plain(FLAG_TABLE) if "value" in each
        }
        database = self.cloud.database.rows()
        return {
            flag: (
                canonical(flag, self.cloud.parameters.text(f"{FLAGS}/{flag}")),
                rows.get(flag),
                database.get(flag, (None, 0))[0],
            )
            for flag in DECLARED
        }

    def _state(self) -> object:
        return (
            {name: versions[-1] for name, versions in self.cloud.parameters.versions.items()},
            self.cloud.dynamodb.plain(FLAG_TABLE),
            self.cloud.database.rows(),
            len(self.cloud.dynamodb.items(AUDIT_TABLE)),
        )


def _message(alarm: dict[str, Any]) -> dict[str, Any]:
    since = datetime.fromtimestamp(alarm["since_ms"] / 1000, UTC)
    message = {
        "AlarmName": alarm["alarm"],
        "AlarmArn": f"arn:aws:cloudwatch:eu-central-1:111122223333:alarm:{alarm['alarm']}",
        "NewStateValue": "ALARM",
        "StateChangeTime": since.strftime("%Y-%m-%dT%H:%M:%S.%f+0000"),
        "NewStateReason": "by chance",
    }
    return {"Records": [{"Sns": {"Message": json.dumps(message)}}]}
