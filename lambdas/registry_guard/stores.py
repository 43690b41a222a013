"""The registry table and the parameter with the route set in force, as the guard uses them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol, cast

from botocore.exceptions import ClientError

from lambdas.registry_guard.values import PARTITION_KEY, SORT_KEY, Item, Key, Value


class Table(Protocol):
    """The part of boto3's table resource that is used; the arguments are DynamoDB's."""

    def get_item(self, *, Key: dict[str, str], ConsistentRead: bool) -> Mapping[str, object]:  # noqa: N803
        """The item under `Item`, where there is one."""
        ...

    def put_item(
        self,
        *,
        Item: dict[str, Value],  # noqa: N803
        ConditionExpression: str,  # noqa: N803
        ExpressionAttributeNames: dict[str, str],  # noqa: N803
    ) -> object:
        """Raises `ClientError` where the condition does not hold."""
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


def put_if_absent(table: Table, item: Item) -> bool:
    """Write a version; False where somebody else has."""
    try:
        table.put_item(
            Item=dict(item),
            ConditionExpression="attribute_not_exists(#key)",
            ExpressionAttributeNames={"#key": PARTITION_KEY},
        )
    except ClientError as error:
        if _code(error) == "ConditionalCheckFailedException":
            return False
        raise
    return True


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
