"""Checks JSON against the shapes of botocore's service model, as the service itself would.

botocore's own `ParamValidator` is asked as well; it leaves out enumerations, patterns and upper bounds.
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
from typing import TYPE_CHECKING, cast

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

if TYPE_CHECKING:
    from botocore.model import OperationModel, Shape

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "boolean": (bool,),
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
    "blob": (str,),
}


@functools.cache
def converse() -> OperationModel:
    """Bedrock's Converse operation."""
    document = Loader().load_service_model("bedrock-runtime", "service-2")
    return ServiceModel(document, service_name="bedrock-runtime").operation_model("Converse")


def complaints(value: object, shape: Shape, *, ignored: frozenset[str] = frozenset()) -> list[str]:
    """Everything in which the JSON `value` is not of `shape`; members named in `ignored` travel elsewhere."""
    found: list[str] = []
    _check(value, shape, "", ignored, found)
    if found:
        return found
    report = ParamValidator().validate(cast("dict[str, object]", _with_bytes(value, shape)), shape)
    return [report.generate_report()] if report.has_errors() else []


def _check(value: object, shape: Shape, path: str, ignored: frozenset[str], found: list[str]) -> None:
    if getattr(shape, "is_document_type", False):
        return
    expected = _TYPES[shape.type_name]
    if not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected):
        found.append(f"{path or 'body'}: a {shape.type_name} is expected, not {type(value).__name__}")
        return
    if isinstance(value, dict):
        _check_members(value, shape, path, ignored, found)
    elif isinstance(value, list):
        _check_size(len(value), shape, path, found)
        for index, element in enumerate(value):
            _check(element, shape.member, f"{path}.{index}", frozenset(), found)  # type: ignore[attr-defined]
    else:
        _check_scalar(value, shape, path, found)


def _check_members(
    value: dict[str, object], shape: Shape, path: str, ignored: frozenset[str], found: list[str]
) -> None:
    if shape.type_name == "map":
        for key, element in value.items():
            _check(element, shape.value, f"{path}.{key}", frozenset(), found)  # type: ignore[attr-defined]
        return
    members: dict[str, Shape] = shape.members  # type: ignore[attr-defined]
    found += [
        f"{path}.{name}: is required"
        for name in shape.metadata.get("required", [])
        if name not in value and name not in ignored
    ]
    found += [f"{path}.{name}: is unknown" for name in value if name not in members or name in ignored]
    if getattr(shape, "is_tagged_union", False) and len(value) != 1:
        found.append(f"{path}: exactly one of {', '.join(members)} is expected")
    for name, element in value.items():
        if name in members:
            _check(element, members[name], f"{path}.{name}", frozenset(), found)


def _check_scalar(value: object, shape: Shape, path: str, found: list[str]) -> None:
    constraints = shape.metadata
    if shape.type_name == "blob":
        try:
            _check_size(len(base64.b64decode(str(value), validate=True)), shape, path, found)
        except binascii.Error:
            found.append(f"{path}: is not base64")
    elif isinstance(value, str):
        _check_size(len(value), shape, path, found)
        if "enum" in constraints and value not in constraints["enum"]:
            found.append(f"{path}: {value!r} is none of {', '.join(constraints['enum'])}")
        if "pattern" in constraints and not re.fullmatch(constraints["pattern"], value):
            found.append(f"{path}: {value!r} does not match {constraints['pattern']}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        _check_size(value, shape, path, found)


def _check_size(size: float, shape: Shape, path: str, found: list[str]) -> None:
    smallest, largest = shape.metadata.get("min"), shape.metadata.get("max")
    if (smallest is not None and size < smallest) or (largest is not None and size > largest):
        found.append(f"{path}: {size} is not within {smallest} and {largest}")


def _with_bytes(value: object, shape: Shape) -> object:
    """The value as botocore's callers would give it: blobs decoded."""
    if getattr(shape, "is_document_type", False):
        return value
    if shape.type_name == "blob":
        return base64.b64decode(str(value))
    if isinstance(value, list):
        return [_with_bytes(element, shape.member) for element in value]  # type: ignore[attr-defined]
    if isinstance(value, dict) and shape.type_name == "structure":
        members = shape.members  # type: ignore[attr-defined]
        return {name: _with_bytes(element, members[name]) for name, element in value.items()}
    return value
