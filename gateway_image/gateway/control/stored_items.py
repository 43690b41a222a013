"""DynamoDB's items as plain mappings, with whole numbers as integers."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import AttributeValueTypeDef

_serializer = TypeSerializer()
_deserializer = TypeDeserializer()


def to_stored(fields: Mapping[str, object]) -> dict[str, AttributeValueTypeDef]:
    """`fields` as attributes of an item."""
    return {name: _serializer.serialize(value) for name, value in fields.items()}


def from_stored(item: Mapping[str, AttributeValueTypeDef]) -> dict[str, object]:
    """The fields of a stored item. boto3 hands numbers out as `Decimal`; whole ones become `int`."""
    return {name: _integers(_deserializer.deserialize(value)) for name, value in item.items()}


def _integers(value: object) -> object:
    if isinstance(value, dict):
        return {name: _integers(inner) for name, inner in value.items()}
    if isinstance(value, Decimal) and value == value.to_integral_value():
        return int(value)
    return value
