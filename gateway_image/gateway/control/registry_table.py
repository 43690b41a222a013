"""The model registry's DynamoDB table, as it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway.control.registry import (
    PARTITION_KEY,
    SORT_KEY,
    RegistryItem,
    RegistryView,
    item_from_fields,
)
from gateway.control.snapshot import Loaded
from gateway.control.stored_items import from_stored, to_stored

if TYPE_CHECKING:
    from types_boto3_dynamodb.client import DynamoDBClient


class RegistryTable:
    """The registry's table. Every method blocks, and raises what boto3 raises."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def load(self, previous: RegistryView | None) -> Loaded[RegistryView]:
        """Read the whole table, with what was just put; an item that became unreadable stays what it was."""
        items: dict[tuple[str, str], RegistryItem] = {}
        problems: list[str] = []
        for page in self._client.get_paginator("scan").paginate(TableName=self._table, ConsistentRead=True):
            for stored in page["Items"]:
                fields = from_stored(stored)
                keys = (str(fields.get(PARTITION_KEY)), str(fields.get(SORT_KEY)))
                try:
                    items[keys] = item_from_fields(fields)
                except msgspec.ValidationError as error:
                    problems.append(f"item {keys[0]} version {keys[1]}: {error}")
                    if previous and keys in previous:
                        items[keys] = previous[keys]
        return Loaded(items, tuple(problems))

    def get(self, key: str, version: str) -> RegistryItem | None:
        """One version as it is now; None where it is not registered.

        Raises:
            msgspec.ValidationError: what is stored is no registry item.
        """
        stored = self._client.get_item(
            TableName=self._table,
            Key=to_stored({PARTITION_KEY: key, SORT_KEY: version}),
            ConsistentRead=True,
        ).get("Item")
        return None if stored is None else item_from_fields(from_stored(stored))
