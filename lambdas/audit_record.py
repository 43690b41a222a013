"""Audit records as `docs/contracts.md` says: each put after the newest, chained to it by a hash, and logged.

Nobody updates or deletes a record; one is put only where there is none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, TypeAlias, cast

from botocore.exceptions import ClientError

Record: TypeAlias = dict[str, str | int]
Put: TypeAlias = Mapping[str, object]
"""The arguments of DynamoDB's PutItem."""

LONGEST_WHY = 500
ATTEMPTS = 8
"""Each attempt but the last was overtaken by another record of the same subject."""

_NOT_TAKEN = "attribute_not_exists(subject)"
_REFUSED = "ConditionalCheckFailed"
_BUSY = "TransactionConflict"


class Table(Protocol):
    """The part of boto3's DynamoDB client that is used; the arguments are DynamoDB's."""

    def query(self, **arguments: object) -> Mapping[str, object]:
        """The items stand under `Items`."""
        ...

    def put_item(self, **arguments: object) -> object:
        """Raises `ClientError` where the condition does not hold."""
        ...

    def transact_write_items(self, **arguments: object) -> object:
        """Raises `ClientError` where one of the conditions does not hold; then nothing is written."""
        ...


@dataclass(frozen=True, kw_only=True)
class Change:
    """What a record is to say. `before` and `after` are texts, empty where there was nothing."""

    subject: str
    who: str
    how: str
    action: str
    before: str
    after: str
    why: str

    @property
    def attributes(self) -> Record:
        """It as a record has it."""
        return {
            "subject": self.subject,
            "who": self.who,
            "how": self.how,
            "action": self.action,
            "from": self.before,
            "to": self.after,
            "why": self.why[:LONGEST_WHY],
        }


class OvertakenError(Exception):
    """Others wrote records of the subject faster, every time."""

    def __init__(self, subject: str) -> None:
        super().__init__(f"{ATTEMPTS} records of {subject} were written by others meanwhile; try again")


def hash_of(record: Mapping[str, object]) -> str:
    """SHA-256 (hex) of every attribute but `hash`, as JSON with sorted keys, no spaces, not ASCII-escaped."""
    covered = {name: value for name, value in record.items() if name != "hash"}
    text = json.dumps(covered, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def record_after(newest: Record | None, change: Change, at: datetime) -> Record:
    """The record of `change` that comes after `newest`; `at` has a time zone."""
    moment = at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
    record: Record = {
        **change.attributes,
        "sequence": 1 if newest is None else int(newest["sequence"]) + 1,
        "at": f"{moment}Z",
        "previous_hash": "" if newest is None else newest["hash"],
    }
    return {**record, "hash": hash_of(record)}


def _utc_now() -> datetime:
    return datetime.now(UTC)


class AuditTrail:
    """Appends records to the table `name`. Every method raises what boto3 raises."""

    def __init__(self, client: Table, name: str, *, now: Callable[[], datetime] = _utc_now) -> None:
        self._client = client
        self._name = name
        self._now = now

    def append(self, change: Change) -> None:
        """Record `change`, unless the newest record of its subject says the very same.

        So whoever does a thing again after a crash, or at the same time as another, records it once.

        Raises:
            OvertakenError: others were faster every time.
        """
        for _attempt in range(ATTEMPTS):
            newest = self._newest(change.subject)
            if newest is not None and change.attributes.items() <= newest.items():
                return
            record = record_after(newest, change, self._now())
            try:
                self._client.put_item(**self._put(record))
            except ClientError as error:
                if _code(error) != "ConditionalCheckFailedException":
                    raise
            else:
                _log(record)
                return
        raise OvertakenError(change.subject)

    def append_with(self, change: Change, put: Put) -> bool:
        """Record `change` and put an item elsewhere, both or neither; False where the item's condition fails.

        Raises:
            OvertakenError: others were faster every time.
        """
        for _attempt in range(ATTEMPTS):
            record = record_after(self._newest(change.subject), change, self._now())
            try:
                self._client.transact_write_items(
                    TransactItems=[{"Put": dict(put)}, {"Put": self._put(record)}]
                )
            except ClientError as error:
                of_item, of_record = _reasons(error)
                if of_item == _REFUSED:
                    return False
                if of_record != _REFUSED and _BUSY not in (of_item, of_record):
                    raise
            else:
                _log(record)
                return True
        raise OvertakenError(change.subject)

    def newest_text(self, subject: str) -> str:
        """What the newest record of a subject says that it became; empty where there is no record."""
        newest = self._newest(subject)
        return "" if newest is None else str(newest["to"])

    def _newest(self, subject: str) -> Record | None:
        found = self._client.query(
            TableName=self._name,
            KeyConditionExpression="subject = :subject",
            ExpressionAttributeValues={":subject": {"S": subject}},
            ConsistentRead=True,
            ScanIndexForward=False,
            Limit=1,
        )
        items = cast("list[dict[str, dict[str, str]]]", found["Items"])
        return _plain(items[0]) if items else None

    def _put(self, record: Record) -> dict[str, object]:
        stored = {
            name: {"N": str(value)} if isinstance(value, int) else {"S": value}
            for name, value in record.items()
        }
        return {"TableName": self._name, "Item": stored, "ConditionExpression": _NOT_TAKEN}


def _plain(item: Mapping[str, Mapping[str, str]]) -> Record:
    record: Record = {name: next(iter(value.values())) for name, value in item.items()}
    return {"hash": "", **record, "sequence": int(record["sequence"])}


def _log(record: Record) -> None:
    """The line that a stored record can be compared with."""
    print(json.dumps({"event": "audit", **record}, ensure_ascii=False))


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code"))


def _reasons(error: ClientError) -> tuple[str, str]:
    """Why a transaction of two was cancelled, for each of them; empty where the error is another."""
    reasons = cast("list[dict[str, str]]", error.response.get("CancellationReasons", []))
    if len(reasons) != 2:
        return ("", "")
    return (str(reasons[0].get("Code")), str(reasons[1].get("Code")))
