"""The second tier: one row a flag, and what replicas counted as evidence for steps of a sequence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias, cast

from lambdas.flag_row import FUTURE_MS, FlagRow
from lambdas.flag_update.declaration import ON, Declaration, InvalidValueError
from lambdas.flag_update.judgement import Held

Item: TypeAlias = Mapping[str, Mapping[str, str]]

EVIDENCE = "evidence"
"""The key of such an item is `evidence#<flag>#<moment in ms>`."""


class Table(Protocol):
    """The part of boto3's DynamoDB client that is used; the arguments are DynamoDB's."""

    def scan(self, **arguments: object) -> Mapping[str, object]:
        """A page under `Items`, and `LastEvaluatedKey` where there are more."""
        ...


@dataclass(frozen=True)
class TableContent:
    """What the table held when it was read: rows by flag name, decisions by flag name and moment (ms)."""

    rows: Mapping[str, Item]
    decisions: Mapping[str, Mapping[int, int]]

    def held(self, declaration: Declaration, *, now_ms: int) -> Held | None:
        """What it holds of a flag, as far as it can be read."""
        row = self.rows.get(declaration.name)
        if row is None:
            return None
        value = _value(declaration, row)
        moment = _number(row, "changed_at_ms")
        is_sound = value is not None and 0 < moment <= now_ms + FUTURE_MS
        if not is_sound:
            moment = now_ms if declaration.is_switch and value == ON else 0
        return Held(
            text=_text(row, "value"),
            value=value,
            changed_at_ms=moment,
            changed_by=_text(row, "changed_by"),
            is_sound=is_sound,
        )

    def row(self, declaration: Declaration, *, now_ms: int) -> FlagRow | None:
        """A flag's row where a reader can rely on it."""
        held = self.held(declaration, now_ms=now_ms)
        if held is None or not held.is_sound or held.value is None:
            return None
        return FlagRow(
            flag=declaration.name,
            value=held.value,
            changed_at_ms=held.changed_at_ms,
            changed_by=held.changed_by,
            why=_text(self.rows[declaration.name], "why"),
        )


def read_table(client: Table, name: str) -> TableContent:
    """Everything in the table. Raises what boto3 raises."""
    rows: dict[str, Item] = {}
    decisions: dict[str, dict[int, int]] = {}
    for item in _items(client, name):
        key = _text(item, "flag")
        kind, _, rest = key.partition("#")
        if kind != EVIDENCE:
            rows[key] = item
            continue
        flag, _, moment = rest.rpartition("#")
        if moment.isascii() and moment.isdigit():
            decisions.setdefault(flag, {})[int(moment)] = _number(item, "decisions")
    return TableContent(rows, decisions)


def _items(client: Table, name: str) -> Iterator[Item]:
    start: object = None
    while True:
        following = {} if start is None else {"ExclusiveStartKey": start}
        page = client.scan(TableName=name, ConsistentRead=True, **following)
        yield from cast("list[Item]", page["Items"])
        start = page.get("LastEvaluatedKey")
        if not start:
            return


def _value(declaration: Declaration, row: Item) -> str | None:
    try:
        return declaration.read(_text(row, "value"))
    except InvalidValueError:
        return None


def _text(item: Item, attribute: str) -> str:
    return item.get(attribute, {}).get("S", "")


def _number(item: Item, attribute: str) -> int:
    """A whole number that is not negative; 0 where there is none."""
    number = item.get(attribute, {}).get("N", "")
    return int(number) if number.isascii() and number.isdigit() else 0
