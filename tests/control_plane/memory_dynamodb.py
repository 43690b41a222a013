"""DynamoDB in memory: conditions, transactions, and watches of every write. Held to moto by a test."""

# The arguments are DynamoDB's.
# ruff: noqa: N803

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeAlias

from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import ClientError

from tests.control_plane.dynamodb_condition import holds
from tests.control_plane.gate import Store

Attribute: TypeAlias = Any
Stored: TypeAlias = dict[str, Any]
Watch = Callable[[str, Stored | None, Stored, str], None]


class ConditionalCheckFailedException(ClientError):  # noqa: N818 - AWS's name
    def __init__(self, operation: str) -> None:
        code = "ConditionalCheckFailedException"
        super().__init__({"Error": {"Code": code, "Message": "The conditional request failed"}}, operation)


class TransactionCanceledException(ClientError):  # noqa: N818 - AWS's name
    def __init__(self, reasons: Sequence[str]) -> None:
        told: Any = {
            "Error": {"Code": "TransactionCanceledException", "Message": f"cancelled: {list(reasons)}"},
            "CancellationReasons": [{"Code": reason} for reason in reasons],
        }
        super().__init__(told, "TransactWriteItems")


class Exceptions:
    ConditionalCheckFailedException = ConditionalCheckFailedException
    TransactionCanceledException = TransactionCanceledException


_DESERIALIZE = TypeDeserializer().deserialize
_SET = re.compile(r"SET (\w+) = (:\w+)")
_ADD = re.compile(r"ADD (\w+) (:\w+)")


class MemoryDynamoDb:
    """Tables by name, each with the names of its keys. `watches` are told each write after it was made."""

    exceptions = Exceptions

    def __init__(self, keys: Mapping[str, tuple[str, ...]]) -> None:
        self.keys = keys
        self.tables: dict[str, dict[tuple[str, ...], Stored]] = {name: {} for name in keys}
        self.watches: list[Watch] = []
        self._done_tokens: set[str] = set()

    def items(self, table: str) -> list[Stored]:
        return list(self.tables[table].values())

    def plain(self, table: str) -> list[dict[str, Any]]:
        return [plain(item) for item in self.items(table)]

    # ---- the calls of boto3's client ---------------------------------------------------------------

    def get_item(
        self, *, TableName: str, Key: Stored, ConsistentRead: bool = False, caller: str = ""
    ) -> Stored:
        del ConsistentRead, caller
        found = self.tables[TableName].get(self._key(TableName, Key))
        return {} if found is None else {"Item": copy.deepcopy(found)}

    def scan(
        self,
        *,
        TableName: str,
        ConsistentRead: bool = False,
        FilterExpression: str = "",
        ExpressionAttributeValues: Stored | None = None,
        caller: str = "",
    ) -> Stored:
        del ConsistentRead, caller
        values = ExpressionAttributeValues
        found = [
            copy.deepcopy(item)
            for item in self.items(TableName)
            if not FilterExpression or holds(FilterExpression, item, None, values)
        ]
        return {"Items": found}

    def query(
        self,
        *,
        TableName: str,
        KeyConditionExpression: str,
        ExpressionAttributeValues: Stored,
        ConsistentRead: bool = False,
        ScanIndexForward: bool = True,
        Limit: int = 1_000_000,
        caller: str = "",
    ) -> Stored:
        del ConsistentRead, caller
        found = [
            item
            for item in self.items(TableName)
            if holds(KeyConditionExpression, item, None, ExpressionAttributeValues)
        ]
        sort_key = self.keys[TableName][1]
        found.sort(key=lambda item: _order(item[sort_key]), reverse=not ScanIndexForward)
        return {"Items": copy.deepcopy(found[:Limit])}

    def put_item(self, *, caller: str = "", **put: Attribute) -> Stored:
        if not self._condition_holds(put):
            raise ConditionalCheckFailedException("PutItem")
        self._told([self._write(put)], caller)
        return {}

    def update_item(self, *, caller: str = "", **update: Attribute) -> Stored:
        if not self._condition_holds(update):
            raise ConditionalCheckFailedException("UpdateItem")
        self._told([self._write(update)], caller)
        return {}

    def transact_write_items(
        self, *, TransactItems: Sequence[Stored], ClientRequestToken: str = "", caller: str = ""
    ) -> Stored:
        if ClientRequestToken in self._done_tokens:
            return {}
        writes = [next(iter(each.values())) for each in TransactItems]
        reasons = ["None" if self._condition_holds(write) else "ConditionalCheckFailed" for write in writes]
        if set(reasons) != {"None"}:
            raise TransactionCanceledException(reasons)
        if ClientRequestToken:
            self._done_tokens.add(ClientRequestToken)
        self._told([self._write(write) for write in writes], caller)
        return {}

    # ---- how ---------------------------------------------------------------------------------------

    def _key(self, table: str, item: Stored) -> tuple[str, ...]:
        return tuple(str(next(iter(item[name].values()))) for name in self.keys[table])

    def _condition_holds(self, write: Stored) -> bool:
        expression = write.get("ConditionExpression")
        before = self.tables[write["TableName"]].get(
            self._key(write["TableName"], write.get("Item") or write["Key"])
        )
        return expression is None or holds(
            expression,
            before,
            write.get("ExpressionAttributeNames"),
            write.get("ExpressionAttributeValues"),
        )

    def _write(self, write: Stored) -> tuple[str, Stored | None, Stored]:
        table = write["TableName"]
        key = self._key(table, write.get("Item") or write["Key"])
        before = self.tables[table].get(key)
        if "Item" in write:
            after = copy.deepcopy(write["Item"])
        else:
            after = _updated(dict(before or write["Key"]), write)
        self.tables[table][key] = after
        return table, before, after

    def _told(self, written: Sequence[tuple[str, Stored | None, Stored]], caller: str) -> None:
        for table, before, after in written:
            for watch in self.watches:
                watch(table, before, after, caller)


class TableResource:
    """boto3's resource of one table, as far as it is used: `client` is the store as a caller reaches it."""

    def __init__(self, client: Store, name: str) -> None:
        self._client = client
        self._name = name

    def get_item(self, *, Key: Mapping[str, str], ConsistentRead: bool) -> Stored:
        stored = {name: {"S": value} for name, value in Key.items()}
        answer = self._client.get_item(TableName=self._name, Key=stored, ConsistentRead=ConsistentRead)
        return {"Item": plain(answer["Item"])} if "Item" in answer else {}


def plain(item: Stored) -> dict[str, Any]:
    """An item as boto3's resource gives it: numbers are `Decimal`."""
    return {name: _DESERIALIZE(value) for name, value in item.items()}


def _updated(item: Stored, update: Stored) -> Stored:
    expression, values = update["UpdateExpression"], update["ExpressionAttributeValues"]
    assert not _ADD.sub("", _SET.sub("", expression)).strip(), f"not understood: {expression}"
    for name, value in _SET.findall(expression):
        item[name] = values[value]
    for name, value in _ADD.findall(expression):
        before = item.get(name, {"N": "0"})["N"]
        item[name] = {"N": str(Decimal(before) + Decimal(values[value]["N"]))}
    return item


def _order(attribute: Mapping[str, str]) -> tuple[Decimal, str]:
    ((kind, value),) = attribute.items()
    return (Decimal(value), "") if kind == "N" else (Decimal(0), value)
