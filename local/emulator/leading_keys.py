"""Which items of a table a request is about, and which attributes it writes: policies may allow only some.

`dynamodb:LeadingKeys` and `dynamodb:Attributes`:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
"""

from __future__ import annotations

import json
import re
from typing import Any

from ministack.core import iam_actions

KEY = "dynamodb:leadingkeys"
ATTRIBUTES = "dynamodb:attributes"
"""As the emulator looks them up, in lower case."""

_CLAUSES = re.compile(r"\b(?:SET|REMOVE|ADD|DELETE)\b")
_VALUE = re.compile(r"\s*=.*|\s+:\w+.*", re.DOTALL)
_CALLS = re.compile(r"\([^()]*\)")


def complete() -> None:
    """Tell policies the partition keys. Must run before the emulator's application is imported."""
    known = iam_actions.dynamodb_service_context

    def with_leading_keys(body: bytes) -> dict[str, Any]:
        context: dict[str, Any] = known(body)
        keys, attributes = leading_keys(body), updated_attributes(body)
        named = {KEY: keys, ATTRIBUTES: attributes}
        return {**context, **{key: values for key, values in named.items() if values}}

    iam_actions.dynamodb_service_context = with_leading_keys


def leading_keys(body: bytes) -> list[str]:
    """The partition key that a request for one item names; empty for other requests."""
    try:
        request = json.loads(body or b"{}")
        item = request.get("Key") or request.get("Item") or {}
        return [str(value) for value in item.get(_partition_key(request["TableName"]), {}).values()]
    except (ValueError, AttributeError, KeyError):
        return []


def updated_attributes(body: bytes) -> list[str]:
    """The attributes that updates name in their keys and change, in a transaction those of all of them."""
    try:
        request = json.loads(body or b"{}")
        parts = [part.get("Update", {}) for part in request.get("TransactItems", [])]
        updates = parts or ([request] if "UpdateExpression" in request else [])
        return sorted({name for update in updates for name in _named(update)})
    except (ValueError, AttributeError):
        return []


def _named(update: dict[str, Any]) -> list[str]:
    names = update.get("ExpressionAttributeNames", {})
    changed = _CALLS.sub("", update.get("UpdateExpression", ""))
    written = [
        _VALUE.sub("", assignment).strip()
        for clause in _CLAUSES.split(changed)
        for assignment in clause.split(",")
    ]
    return [*update.get("Key", {}), *(names.get(name, name) for name in written if name)]


def _partition_key(table: str) -> str:
    from ministack.services import dynamodb

    schema = (dynamodb._tables.get(table.rpartition("/")[2]) or {}).get("KeySchema", [])
    return next((str(each["AttributeName"]) for each in schema if each["KeyType"] == "HASH"), "")
