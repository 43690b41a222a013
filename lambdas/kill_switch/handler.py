"""Turns a kill switch on when an alarm says so. Nothing turns one off but an operator.

SNS calls it with CloudWatch's messages. `SWITCH_OF_ALARM` says which switch an alarm turns on; other alarms
and other states change nothing. A message may come late or twice: whoever changed the switch after the alarm
went off knew of it, so that change stays.

Whoever waits for the switch waits for no store: the tiers are asked and written side by side, once each, and
one that has not answered in `PATIENCE_S` is written without having been heard.

The record comes after the switch, unlike everywhere else: nothing may keep a switch from being turned on.
Where it could not be written, or the function ended before, the next call with the message makes up for it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Protocol, TypeVar, cast

from lambdas import audit_record, bounded_client
from lambdas.audit_record import AuditTrail, Change
from lambdas.flag_measurement import measure
from lambdas.flag_row import FlagRow, milliseconds
from lambdas.kill_switch import tiers as flag_tiers
from lambdas.kill_switch.message import ALARM, MalformedError, StateChange, records, state_change
from lambdas.kill_switch.tiers import ON, ParameterTier, Switched, TableTier

T = TypeVar("T")

FAILURES = "Failures"

READ_TIMEOUT_S = 1.5
PATIENCE_S = READ_TIMEOUT_S
"""What a tier has to say what it holds. A switch must be in force everywhere within five seconds, of which
replicas need two to read it: a tier that works is written 2.5 seconds after the message, whatever hangs."""

open_client = partial(bounded_client.open_client, read_timeout_s=READ_TIMEOUT_S, attempts=1)


class Tier(Protocol):
    """Where a switch is written."""

    @property
    def name(self) -> str:
        """What the log calls it."""
        ...

    def read(self, flag: str) -> Switched:
        """What it says now."""
        ...

    def turn_on(self, row: FlagRow) -> None:
        """Make it say `row`."""
        ...


class NoTierError(Exception):
    """No tier took the switch; Lambda calls again."""


class NoRecordError(Exception):
    """The switch is on and no record tells of it; Lambda calls again."""


def handler(event: object, context: object) -> None:  # noqa: ARG001 - Lambda passes it
    """Obey every message of `event`.

    Raises:
        NoTierError: a switch could be written nowhere.
        NoRecordError: all switches are on, and of one there is no record.
    """
    now_ms = time.time_ns() // 1_000_000
    switches: Mapping[str, str] = json.loads(os.environ["SWITCH_OF_ALARM"])
    try:
        changes = [_read(record) for record in records(event)]
    except MalformedError as error:
        _log("event refused", reason=str(error))
        return
    press = _Press(os.environ, now_ms)
    try:
        unwritten = [flag for change in changes if change for flag in _unwritten(change, switches, press)]
    finally:
        measure(os.environ["ENVIRONMENT"], {FAILURES: press.failures}, now_ms)
    if unwritten:
        raise NoTierError(f"{', '.join(unwritten)} could be turned on in no tier")
    if press.unrecorded:
        raise NoRecordError(f"{', '.join(press.unrecorded)} was turned on without a record")


def _read(record: object) -> StateChange | None:
    try:
        return state_change(record)
    except MalformedError as error:
        _log("message refused", reason=str(error))
        return None


def _unwritten(change: StateChange, switches: Mapping[str, str], press: _Press) -> Sequence[str]:
    """Obey a message; the switch that should have been turned on and could not."""
    flag = switches.get(change.alarm)
    if flag is None or change.state != ALARM:
        reason = "the alarm turns no switch on" if flag is None else f"the state is {change.state}"
        _log("message without effect", alarm=change.alarm[:255], reason=reason[:100])
        return ()
    return () if press.turn_on(flag, change) else (flag,)


class _Press:
    """Turns switches on in every tier it can."""

    def __init__(self, variables: Mapping[str, str], now_ms: int) -> None:
        dynamodb = open_client("dynamodb")
        self._tiers: Sequence[Tier] = (
            TableTier(cast("flag_tiers.Table", dynamodb), variables["FLAG_TABLE"], now_ms=now_ms),
            ParameterTier(cast("flag_tiers.Ssm", open_client("ssm")), variables["FLAG_PARAMETERS"]),
        )
        self._trail = AuditTrail(cast("audit_record.Table", dynamodb), variables["AUDIT_TABLE"])
        self._now_ms = now_ms
        self.failures = 0
        self.unrecorded: list[str] = []

    def turn_on(self, flag: str, change: StateChange) -> bool:
        """False where it should be on and no tier took it."""
        with ThreadPoolExecutor(max_workers=2 * len(self._tiers), thread_name_prefix="tier") as threads:
            return self._turn_on(flag, change, threads)

    def _turn_on(self, flag: str, change: StateChange, threads: Executor) -> bool:
        since_ms = min(milliseconds(change.since), self._now_ms)
        said = self._read(flag, threads)
        readable = [one for one in said.values() if one is not None and one.is_readable]
        newest = max(readable, key=_order, default=Switched())
        if newest.changed_at_ms > since_ms and newest.is_off:
            _log("message without effect", alarm=change.alarm, reason=f"{flag} was changed since the alarm")
            return True
        # Where off is the newest word, an older on elsewhere counts for nothing.
        to_write = [tier for tier in self._tiers if newest.is_off or not _is_on(said[tier.name])]
        row = FlagRow(
            flag=flag,
            value=ON,
            changed_at_ms=since_ms,
            changed_by=change.arn,
            why=f"alarm {change.alarm}: {change.reason}"[: audit_record.LONGEST_WHY],
        )
        if not to_write:
            _log("message without effect", alarm=change.alarm, reason=f"{flag} is on")
            self._record(row, None)
            return True
        written = self._write(to_write, row, threads)
        if written:
            self._record(row, newest.text)
        return bool(written)

    def _read(self, flag: str, threads: Executor) -> Mapping[str, Switched | None]:
        reads = {tier.name: threads.submit(tier.read, flag) for tier in self._tiers}
        wait(reads.values(), timeout=PATIENCE_S)
        return {
            name: read.result() if self._succeeded(read, f"reading {flag} from the {name}") else None
            for name, read in reads.items()
        }

    def _write(self, tiers: Sequence[Tier], row: FlagRow, threads: Executor) -> Sequence[str]:
        writes = {tier.name: threads.submit(tier.turn_on, row) for tier in tiers}
        wait(writes.values())
        written = [
            name
            for name, write in writes.items()
            if self._succeeded(write, f"turning {row.flag} on in the {name}")
        ]
        for name in written:
            _log("switch turned on", flag=row.flag, tier=name, why=row.why)
        return written

    def _succeeded(self, work: Future[T], what: str) -> bool:
        error = work.exception() if work.done() else TimeoutError(f"no answer in {PATIENCE_S:g} s")
        if error is not None:
            self._failed(what, error)
        return error is None

    def _record(self, row: FlagRow, before: str | None) -> None:
        """Record that the switch was turned on; where it was on, `before` is None, if no record says so."""
        subject = f"flag#{row.flag}"
        try:
            if before is None:
                before = self._trail.newest_text(subject)
                if before == row.value:
                    return
            self._trail.append(
                Change(
                    subject=subject,
                    who=row.changed_by,
                    how="alarm",
                    action="kill",
                    before=before,
                    after=row.value,
                    why=row.why,
                )
            )
        except Exception as error:
            self.unrecorded.append(row.flag)
            self._failed(f"recording that {row.flag} was turned on", error)

    def _failed(self, what: str, error: BaseException) -> None:
        self.failures += 1
        _log("kill switch failed", what=what, reason=f"{type(error).__name__}: {error}")


def _is_on(said: Switched | None) -> bool:
    return said is not None and said.is_on


def _order(said: Switched) -> tuple[int, bool]:
    """Switches go by their moment; of two at the same one, `on` comes later."""
    return said.changed_at_ms, said.is_on


def _log(event: str, **fields: object) -> None:
    print(json.dumps({"event": event, **fields}, ensure_ascii=False))
