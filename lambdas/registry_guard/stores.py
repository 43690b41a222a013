"""The registry table and the parameter with the route set in force, as the guard uses them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol, cast

from boto3.dynamodb.types import TypeSerializer
from botocore.exceptions import ClientError

from lambdas.audit_record import Change, Put
from lambdas.registry_guard.values import PARTITION_KEY, SORT_KEY, Item, Key


class Table(Protocol):
    """The part of boto3's table resource that is used; the arguments are DynamoDB's."""

    def get_item(self, *, Key: dict[str, str], ConsistentRead: bool) -> Mapping[str, object]:  # noqa: N803
        """The item under `Item`, where there is one."""
        ...


class Trail(Protocol):
    """The audit records, as `AuditTrail` keeps them."""

    def append_with(self, change: Change, put: Put) -> bool:
        """Record a change and put an item, both or neither; False where the item is there already."""
        ...


class Parameters(Protocol):
    """The part of boto3's SSM client that is used."""

    def get_parameter(self, *, Name: str) -> Mapping[str, object]:  # noqa: N803
        """It stands under `Parameter`; raises `ClientError` where it is absent."""
        ...


def read_versions(table: Table, keys: Iterable[Key]) -> dict[Key, Item]:
    """Those of the versions that are deployed."""
    found: dict[Key, Item] = {}
    for key in keys:
        names = dict(zip((PARTITION_KEY, SORT_KEY), key, strict=True))
        answer = table.get_item(Key=names, ConsistentRead=True)
        if "Item" in answer:
            found[key] = cast("Item", answer["Item"])
    return found


def add_version(trail: Trail, table_name: str, key: Key, item: Item, who: str) -> bool:
    """Write a version and the record of it, both or neither; False where somebody else has written it."""
    serialize = TypeSerializer().serialize
    change = Change(
        subject=f"model#{key[0]}#{key[1]}",
        who=who,
        how="deploy",
        action="propose",
        before="",
        after=str(item["lifecycle"]),
        why="declared in environments/models",
    )
    return trail.append_with(
        change,
        {
            "TableName": table_name,
            "Item": {name: serialize(value) for name, value in item.items()},
            "ConditionExpression": "attribute_not_exists(#key)",
            "ExpressionAttributeNames": {"#key": PARTITION_KEY},
        },
    )


def read_parameter(parameters: Parameters, name: str) -> str | None:
    """The parameter's text, None where it is absent."""
    try:
        answer = parameters.get_parameter(Name=name)
    except ClientError as error:
        if _code(error) == "ParameterNotFound":
            return None
        raise
    return cast("dict[str, str]", answer["Parameter"])["Value"]


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code"))
