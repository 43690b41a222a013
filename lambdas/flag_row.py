"""A flag as the second and third tier hold it, and how it is written: never over something newer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

FUTURE_MS = 60_000
"""How far clocks may differ. A row with a later moment is not believed; it would win for ever."""

_NOT_NEWER = (
    "attribute_not_exists(changed_at_ms) OR NOT attribute_type(changed_at_ms, :number)"
    " OR changed_at_ms < :changed_at_ms OR changed_at_ms > :future"
    " OR attribute_not_exists(#value) OR #value = :unreadable"
)


@dataclass(frozen=True, kw_only=True)
class FlagRow:
    """One flag; `changed_at_ms` is milliseconds since 1970 UTC."""

    flag: str
    value: str
    changed_at_ms: int
    changed_by: str
    why: str

    def put(self, table: str, *, now_ms: int, unreadable: str = "") -> dict[str, object]:
        """The arguments of DynamoDB's PutItem, whose condition fails where `table` holds something newer.

        A row whose text is `unreadable` is no value of the flag, so it is written over whatever its moment.
        """
        return {
            "TableName": table,
            "Item": {
                "flag": {"S": self.flag},
                "value": {"S": self.value},
                "changed_at_ms": {"N": str(self.changed_at_ms)},
                "changed_by": {"S": self.changed_by},
                "why": {"S": self.why},
            },
            "ConditionExpression": _NOT_NEWER,
            "ExpressionAttributeNames": {"#value": "value"},
            "ExpressionAttributeValues": {
                ":changed_at_ms": {"N": str(self.changed_at_ms)},
                ":future": {"N": str(now_ms + FUTURE_MS)},
                ":number": {"S": "N"},
                ":unreadable": {"S": unreadable},
            },
        }


def milliseconds(moment: datetime) -> int:
    """`moment` in milliseconds since 1970 UTC, rounded as every reader of the tiers rounds it."""
    return round(moment.timestamp() * 1000)
