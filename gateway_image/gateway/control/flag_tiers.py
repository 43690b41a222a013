"""The tiers that hold flags as texts: what each must be to the gateway, and the two that AWS keeps.

The third is in `flag_database`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from types_boto3_dynamodb.client import DynamoDBClient
    from types_boto3_dynamodb.type_defs import AttributeValueTypeDef
    from types_boto3_ssm.client import SSMClient
    from types_boto3_ssm.type_defs import ParameterTypeDef

PARAMETER = "parameter"
TABLE = "table"
DATABASE = "database"
DEFAULT = "default"
"""What an answer calls the tier that no store is: the declaration."""

FLAG_ATTRIBUTE = "flag"
EVIDENCE_PREFIX = "evidence#"
"""Begins the keys of items in the flag table that are no flags."""


class FlagRecord(msgspec.Struct, frozen=True):
    """What a tier says of one flag: a text that nobody has judged yet, and when it was put there.

    `changed_at_ms` is milliseconds since 1970 UTC, 0 where the tier does not say; `changed_by` and `why` are
    empty where it does not.
    """

    value: str
    changed_at_ms: int
    changed_by: str = ""
    why: str = ""


class FlagTier(Protocol):
    """One store of flags."""

    @property
    def name(self) -> str:
        """`parameter`, `table` or `database`."""
        ...

    def read(self) -> Mapping[str, FlagRecord]:
        """Flag name → what the tier says of it; names that are no flags may be among them.

        Blocks, for at most a few seconds, and raises whatever kept it from reading everything.
        """
        ...


class ParameterTier:
    """Flags as SSM parameters below one path, which has no slash at its end."""

    name = PARAMETER

    def __init__(self, client: SSMClient, path: str) -> None:
        self._client = client
        self._path = path

    def read(self) -> Mapping[str, FlagRecord]:
        """Every parameter below the path."""
        return {
            parameter["Name"].removeprefix(f"{self._path}/"): FlagRecord(
                parameter["Value"], _changed_at_ms(parameter)
            )
            for parameter in self._parameters()
        }

    def moment_ms(self, name: str, version: int) -> int | None:
        """When `version` of a flag was put; None where another one is read, or an answer that is old."""
        for parameter in self._parameters():
            if parameter["Name"] == f"{self._path}/{name}" and parameter.get("Version") == version:
                return _changed_at_ms(parameter) or None
        return None

    def _parameters(self) -> Iterator[ParameterTypeDef]:
        for page in self._client.get_paginator("get_parameters_by_path").paginate(Path=self._path):
            yield from page["Parameters"]


class TableTier:
    """Flags as items of a DynamoDB table; an item with wrong attributes is a text that says nothing."""

    name = TABLE

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def read(self) -> Mapping[str, FlagRecord]:
        """Every item that is a flag, as it was last written: a kill switch may be a second old."""
        records: dict[str, FlagRecord] = {}
        scan = self._client.get_paginator("scan").paginate(TableName=self._table, ConsistentRead=True)
        for page in scan:
            for item in page["Items"]:
                name = _text(item, FLAG_ATTRIBUTE)
                if not name.startswith(EVIDENCE_PREFIX):
                    records[name] = FlagRecord(
                        _text(item, "value"),
                        _milliseconds(item),
                        _text(item, "changed_by"),
                        _text(item, "why"),
                    )
        return records


def _changed_at_ms(parameter: ParameterTypeDef) -> int:
    """Rounded: a date is made of a float, and one millisecond less would be another change."""
    changed = parameter.get("LastModifiedDate")
    return round(changed.timestamp() * 1000) if changed is not None else 0


def _text(item: Mapping[str, AttributeValueTypeDef], attribute: str) -> str:
    return item.get(attribute, {}).get("S", "")


def _milliseconds(item: Mapping[str, AttributeValueTypeDef]) -> int:
    number = item.get("changed_at_ms", {}).get("N", "0")
    return int(number) if number.isascii() and number.isdigit() else 0
