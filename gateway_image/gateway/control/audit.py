"""Audit records: who changed what, when, from what to what, and why; a chain of hashes for each subject.

A record is put only where there is none, and nobody may update or delete one. Whoever may put can still put
one over another. Each carries the hash of the one before it, so that they would have to forge every later one
of the subject too, and each is logged when it is written: what was forged differs from that line.
"""

from __future__ import annotations

import datetime
import enum
import hashlib
import json
import logging
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from gateway.control.refusals import ConflictError
from gateway.control.stored_items import from_stored, to_stored

if TYPE_CHECKING:
    from types_boto3_dynamodb.client import DynamoDBClient
    from types_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

ROUTE_SET_SUBJECT = "route-set"
LONGEST_WHY = 500
APPEND_ATTEMPTS = 5
"""Each attempt but the last was overtaken by another record of the same subject."""

_NOT_TAKEN = "attribute_not_exists(subject)"

logger = logging.getLogger(__name__)
logger.setLevel(logging.INFO)  # the second place of every record: LOG_LEVEL must not silence it


class How(enum.StrEnum):
    """By which way a change came."""

    ADMIN_API = "admin-api"
    COMMAND = "command"
    ALARM = "alarm"
    REPLICATION = "replication"
    DEPLOY = "deploy"


class Action(enum.StrEnum):
    """What was done."""

    PROPOSE = "propose"
    PROMOTE = "promote"
    DEPRECATE = "deprecate"
    RETIRE = "retire"
    REACTIVATE = "reactivate"
    ACTIVATE = "activate"
    ROLLBACK = "rollback"
    SET = "set"
    KILL = "kill"
    REVIVE = "revive"
    IN_FORCE = "in-force"
    REFUSED = "refused"
    REPAIRED = "repaired"


class Author(msgspec.Struct, frozen=True):
    """Who asks for a change, by which way, and why."""

    who: str
    how: How
    why: str

    def __post_init__(self) -> None:
        if not self.who.strip():
            raise ValueError("`who` is empty; say who asks for the change")
        if not self.why.strip() or len(self.why) > LONGEST_WHY:
            raise ValueError(f"`why` has {len(self.why)} characters; give the reason in 1 to {LONGEST_WHY}")


class Change(msgspec.Struct, frozen=True):
    """What a record is to say. `before` and `after` are texts, empty where there was nothing."""

    subject: str
    action: Action
    before: str
    after: str
    author: Author


class AuditRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One record as it is stored. `at` is UTC with milliseconds; `hash` covers all other fields."""

    subject: str
    sequence: Annotated[int, Meta(ge=1)]
    at: str
    who: str
    how: str
    action: str
    before: str = msgspec.field(name="from")
    after: str = msgspec.field(name="to")
    why: str
    previous_hash: str
    hash: str

    def fields(self) -> dict[str, object]:
        """The stored attributes."""
        fields: dict[str, object] = msgspec.to_builtins(self)
        return fields


class ChainEnd(msgspec.Struct, frozen=True):
    """Where the next record of a subject is put: after `sequence`, whose hash is `hash`."""

    sequence: int = 0
    hash: str = ""


class Chain(msgspec.Struct, frozen=True):
    """The records of a subject, oldest first, and what is wrong with them."""

    records: tuple[AuditRecord, ...]
    problems: tuple[str, ...]


class AuditConflictError(ConflictError):
    """Another record of the subject was written at the same moment: what it changed is not known here."""

    def __init__(self, subject: str) -> None:
        super().__init__(f"{subject} is being changed by somebody else; look at it again, then ask again")


def model_subject(key: str, version: str) -> str:
    """The subject of a registered version; `key` is `<provider>#<model>`."""
    return f"model#{key}#{version}"


def flag_subject(name: str) -> str:
    """The subject of a flag."""
    return f"flag#{name}"


def record_hash(fields: dict[str, object]) -> str:
    """SHA-256 (hex) of every field but `hash`, as JSON with sorted keys, no spaces, not ASCII-escaped."""
    covered = {name: value for name, value in fields.items() if name != "hash"}
    text = json.dumps(covered, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def next_record(change: Change, end: ChainEnd, at: datetime.datetime) -> AuditRecord:
    """The record of `change` that continues the chain which ends at `end`; `at` has a time zone."""
    moment = at.astimezone(datetime.UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
    unsigned = AuditRecord(
        subject=change.subject,
        sequence=end.sequence + 1,
        at=f"{moment}Z",
        who=change.author.who,
        how=change.author.how,
        action=change.action,
        before=change.before,
        after=change.after,
        why=change.author.why,
        previous_hash=end.hash,
        hash="",
    )
    return msgspec.structs.replace(unsigned, hash=record_hash(unsigned.fields()))


def verify(records: Iterable[AuditRecord]) -> tuple[str, ...]:
    """What is wrong with the records of one subject, in the order of their sequence; nothing where it holds.

    Nobody signs the hashes. So a chain shows mistakes, and changes by those who cannot put records. It does
    not show last records that are gone, another last one with a hash that fits, or an end that was forged as
    a whole: those show in the lines that were logged (`make audit LOGS=1`).
    """
    problems: list[str] = []
    end = ChainEnd()
    subject: str | None = None
    for record in records:
        name = f"record {record.sequence} of {record.subject}"
        if subject is not None and record.subject != subject:
            problems.append(f"{name} is not of {subject}")
        if record.sequence != end.sequence + 1:
            problems.append(f"{name} follows {end.sequence}: what was between them is missing")
        if record.previous_hash != end.hash:
            problems.append(f"{name} does not continue the record before: `previous_hash` is not its `hash`")
        if record.hash != record_hash(record.fields()):
            problems.append(f"{name} was altered: its `hash` is not that of its content")
        subject, end = record.subject, ChainEnd(record.sequence, record.hash)
    return tuple(problems)


def log_record(record: AuditRecord) -> None:
    """Write the line that a stored record can be compared with."""
    logger.info("audit", extra={"event": "audit", **record.fields()})


def _utc_now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


class AuditTable:
    """The table of audit records. Every method blocks, and raises what boto3 raises."""

    def __init__(
        self, client: DynamoDBClient, table: str, *, now: Callable[[], datetime.datetime] = _utc_now
    ) -> None:
        self._client = client
        self._table = table
        self._now = now

    def chain(self, subject: str) -> Chain:
        """Every record of `subject`, and whether the chain holds; a row that is no record breaks it."""
        records: list[AuditRecord] = []
        problems: list[str] = []
        for page in self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="subject = :subject",
            ExpressionAttributeValues={":subject": {"S": subject}},
            ConsistentRead=True,
        ):
            for item in page["Items"]:
                fields = from_stored(item)
                try:
                    records.append(msgspec.convert(fields, AuditRecord))
                except msgspec.ValidationError as error:
                    problems.append(f"record {fields.get('sequence')} of {subject} is none: {error}")
        return Chain(tuple(records), (*problems, *verify(records)))

    def end(self, subject: str) -> ChainEnd:
        """Where the next record of `subject` goes."""
        newest = self._client.query(
            TableName=self._table,
            KeyConditionExpression="subject = :subject",
            ExpressionAttributeValues={":subject": {"S": subject}},
            ConsistentRead=True,
            ScanIndexForward=False,
            Limit=1,
        )["Items"]
        if not newest:
            return ChainEnd()
        return ChainEnd(int(Decimal(newest[0]["sequence"]["N"])), newest[0].get("hash", {}).get("S", ""))

    def append(self, change: Change) -> AuditRecord:
        """Write the record of `change` after whatever the newest is, and log it.

        Raises:
            AuditConflictError: others were faster every time.
        """
        for _attempt in range(APPEND_ATTEMPTS - 1):
            try:
                return self.append_after(self.end(change.subject), change)
            except AuditConflictError:
                continue
        return self.append_after(self.end(change.subject), change)

    def append_after(self, end: ChainEnd, change: Change) -> AuditRecord:
        """Write the record of `change` right after `end`, and log it.

        Of several that read the same `end`, judged what they found and then come here, one gets through.

        Raises:
            AuditConflictError: there is a newer record than `end`.
        """
        record = self.record_after(end, change)
        try:
            self._client.put_item(
                TableName=self._table, Item=to_stored(record.fields()), ConditionExpression=_NOT_TAKEN
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            raise AuditConflictError(change.subject) from None
        log_record(record)
        return record

    def record_after(self, end: ChainEnd, change: Change) -> AuditRecord:
        """The record of `change` as it would be written now."""
        return next_record(change, end, self._now())

    def transaction_item(self, record: AuditRecord) -> TransactWriteItemTypeDef:
        """`record` as a part of a transaction; whoever commits it calls `log_record`."""
        return {
            "Put": {
                "TableName": self._table,
                "Item": to_stored(record.fields()),
                "ConditionExpression": _NOT_TAKEN,
            }
        }
