"""Changing a flag: judged, recorded, then written; a kill switch to two tiers, of which one is enough.

Whoever kills a provider is in a hurry, and stores may be what is broken. So a kill waits for no store longer
than it must: one that hangs is given `PATIENCE_S`, then the next step is taken, and the answer says what
failed. Only a kill goes ahead without its audit record; a line in the log is then all that tells of it.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypeVar

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from gateway.control.audit import (
    LONGEST_WHY,
    Action,
    AuditTable,
    Author,
    Change,
    flag_subject,
)
from gateway.control.flag_declaration import FlagDeclaration, Kind, Switch
from gateway.control.flag_declarations import DECLARED
from gateway.control.flag_rules import (
    Seen,
    decisions_since,
    declaration_of,
    evidence_prefix,
    in_force,
    judge_evidence,
    step_needing_evidence,
)
from gateway.control.flag_tiers import FLAG_ATTRIBUTE, PARAMETER, TABLE, FlagRecord, ParameterTier, TableTier
from gateway.control.refusals import ConflictError, NoStoreTookItError
from gateway.control.stored_items import from_stored, to_stored

if TYPE_CHECKING:
    from types_boto3_dynamodb.client import DynamoDBClient
    from types_boto3_ssm.client import SSMClient

T = TypeVar("T")

PATIENCE_S = 0.8
"""What a kill waits for the state before, for its record and for the first store, each; replicas read every
two seconds, and it must be in force everywhere within five. Whoever has waited already gives less to the
first two (`patience_before_s`)."""

AUDIT = "audit"
TABLE_ATTEMPTS = 3

_NEWER = f"attribute_not_exists({FLAG_ATTRIBUTE}) OR changed_at_ms < :changed_at_ms"

logger = logging.getLogger(__name__)


class FlagChange(msgspec.Struct, frozen=True):
    """A change that was made, and the tiers that took it.

    `failed` tells of the tiers, and of `audit`, that did not, and why.
    """

    flag: str
    before: str
    after: str
    changed_at_ms: int
    took: tuple[str, ...] = (PARAMETER,)
    failed: Mapping[str, str] = {}


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class FlagWriter:
    """Writes flags below the SSM path `path` and into the flag table. `set` blocks."""

    def __init__(
        self,
        ssm: SSMClient,
        dynamodb: DynamoDBClient,
        audit: AuditTable,
        *,
        path: str,
        table: str,
        now_ms: Callable[[], int] = _now_ms,
        patience_s: float = PATIENCE_S,
        patience_before_s: float | None = None,
    ) -> None:
        self._ssm = ssm
        self._dynamodb = dynamodb
        self._audit = audit
        self._path = path
        self._table = table
        self._now_ms = now_ms
        self._patience_s = patience_s
        self._patience_before_s = patience_s if patience_before_s is None else patience_before_s
        self._parameters = ParameterTier(ssm, path)
        self._tiers = (self._parameters, TableTier(dynamodb, table))

    def set(self, name: str, text: str, author: Author) -> FlagChange:
        """Change the flag `name` to what `text` says.

        Raises:
            FlagValueError: there is no such flag, or `text` is no value of it.
            TransitionRefusedError: the step is not allowed from where the flag is.
            ConflictError: somebody else changes the flag at the same moment.
            NoStoreTookItError: a kill switch could be written nowhere.
            BotoCoreError, ClientError: a store that is needed does not answer.
        """
        declaration = declaration_of(DECLARED, name)
        after = declaration.text_of(declaration.parse(text))
        if declaration.kind is Kind.SWITCH:
            return self._switch(declaration, after, author)
        return self._set(declaration, after, author)

    def _set(self, declaration: FlagDeclaration, after: str, author: Author) -> FlagChange:
        name = declaration.name
        end = self._audit.end(flag_subject(name))
        records = self._tiers[0].read()
        before = _text(declaration, records)
        decisions_flag = step_needing_evidence(declaration, before, after)
        if decisions_flag is not None:
            needed = int(_text(DECLARED[decisions_flag], records))
            seen = Seen(self._decisions(name, self._held_since_ms(name, before, records)), needed)
            judge_evidence(declaration, before, after, seen)
        change = Change(flag_subject(name), Action.SET, before, after, author)
        self._audit.append_after(end, change)
        try:
            changed_at_ms = self._put_parameter(name, after)
        except (BotoCoreError, ClientError) as error:
            self._not_taken(change, str(error))
            raise
        return FlagChange(name, before, after, changed_at_ms)

    def _switch(self, declaration: FlagDeclaration, after: str, author: Author) -> FlagChange:
        name = declaration.name
        killing = after == Switch.ON
        with ThreadPoolExecutor(max_workers=6, thread_name_prefix="flag-writer") as threads:
            known = self._known(threads)
            before = _newest(declaration, known)
            action = Action.KILL if killing else Action.REVIVE
            change = Change(flag_subject(name), action, before, after, author)
            recorded = threads.submit(self._audit.append, change)
            if not killing:
                recorded.result()
            _settled(recorded, self._patience_before_s)
            parameter = threads.submit(self._put_parameter, name, after)
            put_ms = _settled(parameter, self._patience_s)
            moment_ms = self._now_ms() if put_ms is None else put_ms
            table = threads.submit(self._put_row, name, after, moment_ms, author)
        problems = {PARAMETER: _problem(parameter), TABLE: _problem(table), AUDIT: _problem(recorded)}
        failed = {store: problem for store, problem in problems.items() if problem is not None}
        if failed:
            told = {"flag": name, "after": after, "failed": failed, "who": author.who, "why": author.why}
            logger.warning("flag not written everywhere", extra=told)
        if PARAMETER in failed and TABLE in failed:
            if AUDIT not in failed:
                self._not_taken(change, f"{failed[PARAMETER]}; {failed[TABLE]}")
            raise NoStoreTookItError(f"no store took flag {name}: {failed[PARAMETER]}; {failed[TABLE]}")
        took = tuple(tier for tier in (PARAMETER, TABLE) if tier not in failed)
        changed_at_ms = moment_ms if TABLE in failed else table.result()
        return FlagChange(name, before, after, changed_at_ms, took, failed)

    def _known(self, threads: ThreadPoolExecutor) -> list[Mapping[str, FlagRecord]]:
        """What those tiers say that answer at once."""
        reads = [threads.submit(tier.read) for tier in self._tiers]
        wait(reads, timeout=self._patience_before_s)
        said = [_settled(read, 0) for read in reads]
        return [records for records in said if records is not None]

    def _put_parameter(self, name: str, text: str) -> int:
        """Write the first tier; when it says that it was changed, in milliseconds.

        Replicas compare that moment with those of the other tiers, so it is asked for and not assumed: the
        clocks of this process and of Parameter Store are two. What is read may be older than the write.
        """
        path = f"{self._path}/{name}"
        put = self._ssm.put_parameter(Name=path, Value=text, Type="String", Overwrite=True)
        moment_ms = None
        with contextlib.suppress(BotoCoreError, ClientError):  # it was written all the same
            moment_ms = self._parameters.moment_ms(name, put["Version"])
        return self._now_ms() if moment_ms is None else moment_ms

    def _put_row(self, name: str, text: str, moment_ms: int, author: Author) -> int:
        """Write the second tier with a newer moment than it holds; the moment in milliseconds."""
        for _attempt in range(TABLE_ATTEMPTS):
            row = {
                FLAG_ATTRIBUTE: name,
                "value": text,
                "changed_at_ms": moment_ms,
                "changed_by": author.who,
                "why": author.why,
            }
            try:
                self._dynamodb.put_item(
                    TableName=self._table,
                    Item=to_stored(row),
                    ConditionExpression=_NEWER,
                    ExpressionAttributeValues=to_stored({":changed_at_ms": moment_ms}),
                )
            except self._dynamodb.exceptions.ConditionalCheckFailedException:
                held = self._tiers[1].read().get(name)
                moment_ms = max(moment_ms, held.changed_at_ms + 1 if held is not None else 0)
            else:
                return moment_ms
        raise ConflictError(f"flag {name} is being changed by somebody else; look at it, then ask again")

    def _held_since_ms(self, name: str, text: str, parameters: Mapping[str, FlagRecord]) -> int:
        """Since when a flag is `text`: as tier 2 has it, or where that does not have it yet, tier 1.

        A value that was overwritten and put back is newer in tier 1, and its evidence counts all the same.
        """
        row = self._tiers[1].read().get(name)
        if row is not None and row.value == text:
            return row.changed_at_ms
        return parameters[name].changed_at_ms if name in parameters else 0

    def _decisions(self, name: str, since_ms: int) -> int:
        """How many decisions replicas have counted for values of a flag put at `since_ms` or later."""
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self._table,
            ConsistentRead=True,
            FilterExpression=f"begins_with({FLAG_ATTRIBUTE}, :prefix)",
            ExpressionAttributeValues=to_stored({":prefix": evidence_prefix(name)}),
        )
        counted = [from_stored(item) for page in pages for item in page["Items"]]
        return decisions_since(name, since_ms, counted)

    def _not_taken(self, change: Change, problem: str) -> None:
        """Record that the change which the record before announces was not confirmed."""
        why = f"not confirmed: {problem}"[:LONGEST_WHY]
        author = Author(change.author.who, change.author.how, why)
        try:
            self._audit.append(Change(change.subject, Action.REFUSED, change.after, change.before, author))
        except (BotoCoreError, ClientError, ConflictError) as lost:
            logger.warning("refusal not recorded", extra={"problem": str(lost)})


def _text(declaration: FlagDeclaration, records: Mapping[str, FlagRecord]) -> str:
    record = records.get(declaration.name)
    return in_force(declaration, record.value if record is not None else None)


def _newest(declaration: FlagDeclaration, known: list[Mapping[str, FlagRecord]]) -> str:
    """What the tiers say newest of a switch; empty where none says anything."""
    records = [records[declaration.name] for records in known if declaration.name in records]
    return max(records, key=lambda record: record.changed_at_ms).value if records else ""


def _settled(future: Future[T], within_s: float) -> T | None:
    """The result, where there is one in time; a failure is looked at later."""
    wait([future], timeout=within_s)
    return future.result() if future.done() and future.exception() is None else None


def _problem(future: Future[T]) -> str | None:
    """Why the work failed, once it has ended; None where it did not."""
    error = future.exception()
    if error is None:
        return None
    if isinstance(error, BotoCoreError | ClientError | ConflictError):
        return str(error)
    raise error
