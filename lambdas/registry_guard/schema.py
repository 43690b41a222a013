"""Holds values to the JSON schemas of the project, with what Lambda's runtime brings.

It understands the keywords that `gateway`'s types are rendered with and no others: a schema with another
one is refused, so that no rule is ever passed over in silence.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import cast

from lambdas.registry_guard.values import Value, shown

ENVIRONMENTS = Path(__file__).parents[2] / "environments"

Node = Mapping[str, object]
_SILENT = frozenset({"$schema", "$defs", "title", "description", "default"})
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (Mapping,),
    "array": (list, tuple),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float, Decimal),
}


@dataclass(frozen=True)
class Violation:
    """A value that breaks its schema; `field` is dotted, empty for the whole."""

    field: str
    reason: str

    def __str__(self) -> str:
        return f"{self.field or '(all of it)'} {self.reason}"


@cache
def read_schema(kind: str) -> Node:
    """The schema of `models` or `route-sets`.

    Raises:
        ValueError: it has a keyword that is not understood here.
    """
    schema: Node = json.loads((ENVIRONMENTS / kind / "schema.json").read_text(encoding="utf-8"))
    for node in _nodes(schema):
        if unknown := node.keys() - _SILENT - _RULES.keys():
            raise ValueError(f"the schema of {kind} has the unknown keyword {', '.join(sorted(unknown))}")
    return schema


def violations(value: Value, schema: Node) -> list[Violation]:
    """Everything of `value` that breaks `schema`."""
    return list(_violations(value, schema, schema, ""))


def _violations(value: Value, node: Node, root: Node, path: str) -> Iterator[Violation]:
    kind = node.get("type")
    if isinstance(kind, str) and not _is(value, kind):
        yield Violation(path, f"is {shown(value)}, not of the type {kind}")
        return
    for keyword in node.keys() - _SILENT:
        yield from _RULES[keyword](value, node, root, path)


def _is(value: Value, kind: str) -> bool:
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "integer" and isinstance(value, Decimal):
        return value == value.to_integral_value()
    return isinstance(value, _TYPES[kind]) and not isinstance(value, bool)


def _nodes(schema: Node) -> Iterator[Node]:
    yield schema
    for keyword in ("$defs", "properties"):
        for inner in cast("Mapping[str, Node]", schema.get(keyword, {})).values():
            yield from _nodes(inner)
    for keyword in ("items", "propertyNames", "additionalProperties"):
        child = schema.get(keyword)
        if isinstance(child, Mapping):
            yield from _nodes(child)


def _reference(value: Value, node: Node, root: Node, path: str) -> Iterator[Violation]:
    target = root
    for step in str(node["$ref"]).removeprefix("#/").split("/"):
        target = cast("Node", target[step])
    yield from _violations(value, target, root, path)


def _properties(value: Value, node: Node, root: Node, path: str) -> Iterator[Violation]:
    if isinstance(value, Mapping):
        for name, inner in cast("Mapping[str, Node]", node["properties"]).items():
            if name in value:
                yield from _violations(value[name], inner, root, _below(path, name))


def _required(value: Value, node: Node, _root: Node, path: str) -> Iterator[Violation]:
    if isinstance(value, Mapping):
        for name in cast("Sequence[str]", node["required"]):
            if name not in value:
                yield Violation(_below(path, name), "is missing")


def _additional(value: Value, node: Node, root: Node, path: str) -> Iterator[Violation]:
    if not isinstance(value, Mapping):
        return
    allowed = node["additionalProperties"]
    for name in sorted(value.keys() - cast("Mapping[str, Node]", node.get("properties", {})).keys()):
        if isinstance(allowed, Mapping):
            yield from _violations(value[name], cast("Node", allowed), root, _below(path, name))
        elif not allowed:
            yield Violation(_below(path, name), "is unknown")


def _names(value: Value, node: Node, root: Node, path: str) -> Iterator[Violation]:
    if isinstance(value, Mapping):
        for name in value:
            yield from _violations(name, cast("Node", node["propertyNames"]), root, _below(path, name))


def _elements(value: Value, node: Node, root: Node, path: str) -> Iterator[Violation]:
    if isinstance(value, list | tuple):
        for position, inner in enumerate(value):
            yield from _violations(inner, cast("Node", node["items"]), root, _below(path, str(position)))


def _enumeration(value: Value, node: Node, _root: Node, path: str) -> Iterator[Violation]:
    allowed = cast("Sequence[str]", node["enum"])
    if value not in allowed:
        yield Violation(path, f"is {shown(value)}, not one of {', '.join(map(str, allowed))}")


def _pattern(value: Value, node: Node, _root: Node, path: str) -> Iterator[Violation]:
    pattern = str(node["pattern"])
    # In JSON Schema `$` is the very end, in Python also the place before a last line break.
    strict = f"{pattern[:-1]}\\Z" if pattern.endswith("$") else pattern
    if isinstance(value, str) and not re.search(strict, value):
        yield Violation(path, f"is {shown(value)}, which {pattern} does not match")


def _date(value: Value, _node: Node, _root: Node, path: str) -> Iterator[Violation]:
    if not _is_date(str(value)):
        yield Violation(path, f"is {shown(value)}, not a date such as 2026-11-01")


def _is_date(text: str) -> bool:
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return _DATE.fullmatch(text) is not None


def _passed(value: Value, _node: Node, _root: Node, _path: str) -> Iterator[Violation]:
    """The type is judged before everything else."""
    del value
    yield from ()


def _bound(
    keyword: str, measured: Callable[[Value], object], *, least: bool, unit: str = ""
) -> Callable[[Value, Node, Node, str], Iterator[Violation]]:
    def judged(value: Value, node: Node, _root: Node, path: str) -> Iterator[Violation]:
        size, bound = cast("int", measured(value)), cast("int", node[keyword])
        if (size < bound) if least else (size > bound):
            yield Violation(path, f"is {shown(value)}, {'less' if least else 'more'} than {bound}{unit}")

    return judged


def _size(value: Value) -> int:
    return len(value) if isinstance(value, str | list | tuple | Mapping) else 0


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


_RULES: Mapping[str, Callable[[Value, Node, Node, str], Iterator[Violation]]] = {
    "$ref": _reference,
    "type": _passed,
    "properties": _properties,
    "required": _required,
    "additionalProperties": _additional,
    "propertyNames": _names,
    "items": _elements,
    "enum": _enumeration,
    "pattern": _pattern,
    "format": _date,
    "minimum": _bound("minimum", lambda value: value, least=True),
    "maximum": _bound("maximum", lambda value: value, least=False),
    "minLength": _bound("minLength", _size, least=True, unit=" characters"),
    "maxLength": _bound("maxLength", _size, least=False, unit=" characters"),
    "minItems": _bound("minItems", _size, least=True, unit=" elements"),
    "maxItems": _bound("maxItems", _size, least=False, unit=" elements"),
    "minProperties": _bound("minProperties", _size, least=True, unit=" members"),
}
