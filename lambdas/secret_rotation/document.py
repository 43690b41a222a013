"""A secret's value: one JSON object."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TypeAlias

from lambdas.secret_rotation.refusal import RotationError

Document: TypeAlias = Mapping[str, object]


def parse(text: str, what: str) -> Document:
    """Read a value.

    Raises:
        RotationError: it is no JSON object. The text is not repeated.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise RotationError(f"{what} is no JSON; put a JSON object") from None
    if not isinstance(document, dict):
        raise RotationError(f"{what} is a JSON {type(document).__name__}, not an object; put a JSON object")
    return document


def write(document: Document) -> str:
    """The same text for the same document, so that to write it twice is to write it once."""
    return json.dumps(document, sort_keys=True)


def text_in(document: Mapping[str, object], field: str, what: str) -> str:
    """A text that is not empty.

    Raises:
        RotationError: naming the field, never its value.
    """
    value = document.get(field)
    if not isinstance(value, str) or not value:
        state = "missing" if value is None else "empty" if value == "" else f"a {type(value).__name__}"
        raise RotationError(f"`{field}` of {what} is {state}; it must be a text")
    return value


def number_in(document: Mapping[str, object], field: str, what: str) -> float:
    """A finite number, not negative.

    Raises:
        RotationError: naming the field.
    """
    value = document.get(field)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise RotationError(f"`{field}` of {what} is {value!r}; it must be a number, 0 or more")
    return float(value)
