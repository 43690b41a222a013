"""The simplest value that satisfies a JSON Schema, for tool calls nobody thought up.

Covers what tool schemas use: types, required properties, enumerations, bounds, lengths, local
references and the combinators. Patterns, `not` and `if` are not solved.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

_DEEPEST = 16
_BY_FORMAT = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "duration": "P1D",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "hostname": "example.com",
}


def example(schema: object) -> object:
    """A value that satisfies `schema`; None where it says nothing about values."""
    root = schema if isinstance(schema, Mapping) else {}
    return _value(schema, root, 0)


def _value(schema: object, root: Mapping[str, object], depth: int) -> object:
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return None
    schema = _merged(schema, root, depth)
    if "const" in schema:
        return schema["const"]
    choices = schema.get("enum")
    if isinstance(choices, list) and choices:
        return choices[0]
    match _kind(schema):
        case "object":
            return _object(schema, root, depth)
        case "array":
            return _array(schema, root, depth)
        case "string":
            return _string(schema)
        case "integer" | "number" as kind:
            return _number(schema, whole=kind == "integer")
        case "boolean":
            return True
        case _:
            return None


def _merged(schema: Mapping[str, object], root: Mapping[str, object], depth: int) -> Mapping[str, object]:
    """The schema with references followed, `allOf` folded in and the first alternative taken."""
    merged: dict[str, object] = dict(schema)
    reference = merged.pop("$ref", None)
    parts: list[object] = [_referred(reference, root)] if isinstance(reference, str) else []
    every = merged.pop("allOf", None)
    parts += every if isinstance(every, list) else []
    for keyword in ("anyOf", "oneOf"):
        alternatives = merged.pop(keyword, None)
        parts += alternatives[:1] if isinstance(alternatives, list) else []
    for part in parts:
        if isinstance(part, Mapping) and depth <= _DEEPEST:
            _fold(merged, _merged(part, root, depth + 1))
    return merged


def _fold(into: dict[str, object], part: Mapping[str, object]) -> None:
    for keyword, value in part.items():
        present = into.get(keyword)
        if isinstance(present, Mapping) and isinstance(value, Mapping):
            into[keyword] = {**value, **present}
        elif keyword == "required" and isinstance(present, list) and isinstance(value, list):
            into[keyword] = [*present, *value]
        else:
            into.setdefault(keyword, value)


def _referred(reference: str, root: Mapping[str, object]) -> object:
    target: object = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        if step and isinstance(target, Mapping):
            target = target.get(step.replace("~1", "/").replace("~0", "~"))
    return target


def _kind(schema: Mapping[str, object]) -> object:
    kind = schema.get("type")
    if isinstance(kind, list):
        return kind[0] if kind else None
    if kind is None:
        return "object" if "properties" in schema else None
    return kind


def _object(schema: Mapping[str, object], root: Mapping[str, object], depth: int) -> dict[str, object]:
    properties, required = schema.get("properties"), schema.get("required")
    known = properties if isinstance(properties, Mapping) else {}
    names = required if isinstance(required, list) else []
    return {name: _value(known.get(name, {}), root, depth + 1) for name in names}


def _array(schema: Mapping[str, object], root: Mapping[str, object], depth: int) -> list[object]:
    count = schema.get("minItems")
    prefix = schema.get("prefixItems")
    first = prefix if isinstance(prefix, list) else []
    length = count if isinstance(count, int) else 0
    return [
        _value(first[index] if index < len(first) else schema.get("items"), root, depth + 1)
        for index in range(length)
    ]


def _string(schema: Mapping[str, object]) -> str:
    text = _BY_FORMAT.get(str(schema.get("format")), "example")
    shortest, longest = schema.get("minLength"), schema.get("maxLength")
    if isinstance(shortest, int):
        text = text.ljust(shortest, "x")
    return text[:longest] if isinstance(longest, int) else text


def _number(schema: Mapping[str, object], *, whole: bool) -> float:
    step = _bound(schema, "multipleOf") or (1.0 if whole else 0.0)
    low = _bound(schema, "minimum")
    above = _bound(schema, "exclusiveMinimum")
    high, below = _bound(schema, "maximum"), _bound(schema, "exclusiveMaximum")
    value = 1.0 if step in (0.0, 1.0) else step
    if low is not None:
        value = low
    if above is not None:
        value = above + (step or 0.5)
    if step and (low is not None or above is not None):
        value = math.ceil(value / step) * step
        value += step if above is not None and value <= above else 0.0
    if high is not None and value > high:
        value = math.floor(high / step) * step if step else high
    if below is not None and value >= below:
        value = below - (step or 0.5)
        if above is not None and value <= above:
            value = (above + below) / 2
    return int(value) if value == int(value) else value


def _bound(schema: Mapping[str, object], keyword: str) -> float | None:
    value = schema.get(keyword)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
