"""The values that registry items are made of, as JSON and DynamoDB have them in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TypeAlias

Value: TypeAlias = "bool | int | float | Decimal | str | Sequence[Value] | Mapping[str, Value] | None"
Item: TypeAlias = Mapping[str, Value]
Key: TypeAlias = tuple[str, str]

PARTITION_KEY = "provider#model"
SORT_KEY = "version"


def name_of(key: Key) -> str:
    """A version as messages call it."""
    return f"{key[0]} version {key[1]}"


def shown(value: Value) -> str:
    """A value as messages show it, cut where it is long."""
    text = repr(int(value) if isinstance(value, Decimal) and value == value.to_integral_value() else value)
    return text if len(text) <= 80 else f"{text[:79]}…"
