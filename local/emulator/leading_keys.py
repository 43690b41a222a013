"""`dynamodb:LeadingKeys`: which items of a table a request is about, for policies that allow only some.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
"""

from __future__ import annotations

import json
from typing import Any

from ministack.core import iam_actions

KEY = "dynamodb:leadingkeys"
"""As the emulator looks it up, in lower case."""


def complete() -> None:
    """Tell policies the partition keys. Must run before the emulator's application is imported."""
    known = iam_actions.dynamodb_service_context

    def with_leading_keys(body: bytes) -> dict[str, Any]:
        context: dict[str, Any] = known(body)
        keys = leading_keys(body)
        return {**context, KEY: keys} if keys else context

    iam_actions.dynamodb_service_context = with_leading_keys


def leading_keys(body: bytes) -> list[str]:
    """The partition key that a request for one item names; empty for other requests."""
    try:
        request = json.loads(body or b"{}")
        item = request.get("Key") or request.get("Item") or {}
        return [str(value) for value in item.get(_partition_key(request["TableName"]), {}).values()]
    except (ValueError, AttributeError, KeyError):
        return []


def _partition_key(table: str) -> str:
    from ministack.services import dynamodb

    schema = (dynamodb._tables.get(table.rpartition("/")[2]) or {}).get("KeySchema", [])
    return next((str(each["AttributeName"]) for each in schema if each["KeyType"] == "HASH"), "")
