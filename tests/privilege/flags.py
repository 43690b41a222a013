"""The functions of the flags at work: wrong values are taken back, changes go on, alarms pull switches."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TypeAlias

from gateway.control.flag_declarations import DECLARED
from local.provider_secrets import secret_value
from tests.end_to_end.flag_replicas import PATH, Replica, without_events
from tests.local.embedded_cloud import RunningCloud
from tests.privilege.clients import admin, log_events, outputs

Outcome: TypeAlias = tuple[str, str | None]

SHARE = "rollout.canary-share"
SWITCHES = tuple(name for name in DECLARED if name.startswith("kill-switch."))
_APART_S = 0.01
_AN_HOUR_MS = 3_600_000
_REVIVED_S = 12.0


class _Stores:
    """The tiers and the records, as an administrator sees them, and one of the functions."""

    def __init__(self, cloud: RunningCloud, function: str) -> None:
        self._ssm, self._dynamodb = admin(cloud, "ssm"), admin(cloud, "dynamodb")
        self._functions = admin(cloud, "lambda")
        self._table = outputs(cloud, "feature-flags")["FlagTableName"]
        self._audit = outputs(cloud, "model-registry")["AuditTableName"]
        (self.configuration,) = [
            one
            for one in self._functions.list_functions()["Functions"]
            if one["Handler"] == f"lambdas.{function}.handler.handler"
        ]

    @property
    def log_group(self) -> str:
        return str(self.configuration["LoggingConfig"]["LogGroup"])

    def call(self, event: object) -> None:
        name = self.configuration["FunctionName"]
        self._functions.invoke(FunctionName=name, Payload=json.dumps(event))

    def tell(self, variables: Mapping[str, str]) -> None:
        name = self.configuration["FunctionName"]
        told = self.configuration["Environment"]["Variables"] | dict(variables)
        self._functions.update_function_configuration(FunctionName=name, Environment={"Variables": told})

    def put(self, flag: str, value: str) -> None:
        self._ssm.put_parameter(Name=f"{PATH}/{flag}", Value=value, Type="String", Overwrite=True)

    def put_row(self, flag: str, value: str, changed_at_ms: int) -> None:
        item = {
            "flag": {"S": flag},
            "value": {"S": value},
            "changed_at_ms": {"N": str(changed_at_ms)},
            "changed_by": {"S": "exercise"},
            "why": {"S": "exercise"},
        }
        self._dynamodb.put_item(TableName=self._table, Item=item)

    def parameters(self) -> dict[str, str]:
        pages = self._ssm.get_paginator("get_parameters_by_path").paginate(Path=PATH)
        return {
            one["Name"].removeprefix(f"{PATH}/"): one["Value"] for page in pages for one in page["Parameters"]
        }

    def rows(self) -> dict[str, str]:
        items = self._dynamodb.scan(TableName=self._table, ConsistentRead=True)["Items"]
        return {item["flag"]["S"]: item.get("value", {}).get("S", "") for item in items}

    def records(self, flag: str) -> int:
        count: int = self._dynamodb.query(
            TableName=self._audit,
            KeyConditionExpression="subject = :subject",
            ExpressionAttributeValues={":subject": {"S": f"flag#{flag}"}},
        )["Count"]
        return count


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def undisturbed(
    exercise: Callable[[RunningCloud, str], Iterator[Outcome]],
) -> Callable[[RunningCloud, str], Iterator[Outcome]]:
    """An exercise during which no change of a flag calls the function that would undo it."""

    def at_work(cloud: RunningCloud, run: str) -> Iterator[Outcome]:
        with without_events(cloud):
            yield from exercise(cloud, run)

    return at_work


def flag_update(cloud: RunningCloud, run: str) -> Iterator[Outcome]:
    """Put every flag to nonsense, then one to another value, and have the function look."""
    stores = _Stores(cloud, "flag_update")
    logged, nonsense = log_events(cloud, stores.log_group), f"nonsense-{run}"
    with without_events(cloud):
        try:
            for flag in DECLARED:
                stores.put(flag, nonsense)
            stores.call({"reconcile": True})
            said = stores.parameters().items()
            left = [flag for flag, value in said if value == nonsense and flag not in SWITCHES]
            yield "takes wrong values back", f"{left} are still wrong" if left else None
            records = stores.records(SHARE)
            value = "3" if stores.rows().get(SHARE) == "2" else "2"
            stores.put(SHARE, value)
            stores.call({"reconcile": True})
            row = stores.rows().get(SHARE)
            yield "writes changes to the table", None if row == value else f"the table holds {row}"
            added = stores.records(SHARE) - records
            yield "records changes", None if added == 1 else f"{added} records were added"
        finally:
            for flag, declaration in DECLARED.items():
                stores.put(flag, declaration.default)
    fresh = log_events(cloud, stores.log_group) > logged
    yield "writes its log", None if fresh else f"{stores.log_group} has no new event"


def kill_switch(cloud: RunningCloud, run: str) -> Iterator[Outcome]:
    """Let an alarm pull every switch: one that was revived since in either tier, and one that was not."""
    stores = _Stores(cloud, "kill_switch")
    logged = log_events(cloud, stores.log_group)
    with without_events(cloud), _alarms_for_every_switch(stores, run):
        try:
            _all_off(stores, rows_at_ms=_now_ms() - _AN_HOUR_MS)
            event = _alarms(run)
            _all_off(stores, rows_at_ms=_now_ms(), parameters=False)
            stores.call(event)
            yield "leaves alone what was revived in the table", _wrong(stores.parameters(), "off")
            _all_off(stores, rows_at_ms=_now_ms() - _AN_HOUR_MS, parameters=False)
            event = _alarms(run)
            _all_off(stores, rows_at_ms=_now_ms() - _AN_HOUR_MS)
            stores.call(event)
            yield "leaves alone what was revived by the parameter", _wrong(stores.rows(), "off")
            records = {flag: stores.records(flag) for flag in SWITCHES}
            stores.call(_alarms(run))
            yield "turns switches on in the parameter", _wrong(stores.parameters(), "on")
            yield "turns switches on in the table", _wrong(stores.rows(), "on")
            silent = [flag for flag in SWITCHES if stores.records(flag) == records[flag]]
            yield "records that it did", f"nothing is recorded of {silent}" if silent else None
        finally:
            _all_off(stores, rows_at_ms=_now_ms())
            _wait_until_revived(cloud)
    fresh = log_events(cloud, stores.log_group) > logged
    yield "writes its log", None if fresh else f"{stores.log_group} has no new event"


@contextmanager
def _alarms_for_every_switch(stores: _Stores, run: str) -> Iterator[None]:
    before = stores.configuration["Environment"]["Variables"]
    stores.tell({"SWITCH_OF_ALARM": json.dumps({f"{run}-{flag}": flag for flag in SWITCHES})})
    try:
        yield
    finally:
        stores.tell(before)


def _alarms(run: str) -> dict[str, object]:
    """The event of alarms that went off now, one for each switch."""
    time.sleep(_APART_S)
    since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"
    time.sleep(_APART_S)
    messages = [
        {
            "AlarmName": f"{run}-{flag}",
            "AlarmArn": f"arn:aws:cloudwatch:eu-central-1:000000000000:alarm:{run}-{flag}",
            "NewStateValue": "ALARM",
            "NewStateReason": "exercise",
            "StateChangeTime": since,
        }
        for flag in SWITCHES
    ]
    return {"Records": [{"Sns": {"Message": json.dumps(message)}} for message in messages]}


def _all_off(stores: _Stores, *, rows_at_ms: int, parameters: bool = True) -> None:
    for flag in SWITCHES:
        if parameters:
            stores.put(flag, "off")
        stores.put_row(flag, "off", rows_at_ms)


def _wrong(said: Mapping[str, str], expected: str) -> str | None:
    wrong = [flag for flag in SWITCHES if said.get(flag) != expected]
    return f"{wrong} are not {expected}" if wrong else None


def _wait_until_revived(cloud: RunningCloud) -> None:
    """Others use the gateway that was deployed."""
    key = secret_value(cloud.account, outputs(cloud, "secrets")["ClientKeysSecretArn"])["current"]
    gateway = Replica(cloud.ports.gateway, key)
    deadline = time.monotonic() + _REVIVED_S
    while gateway.answers() is False and time.monotonic() < deadline:
        time.sleep(0.1)
