"""The JSON schemas of what operators declare, generated from the types that read it."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import msgspec

from gateway.control.registry import RegistryItem
from gateway.routing.policy import RouteSet

SCHEMA_FILES: dict[str, type[msgspec.Struct]] = {
    "models/schema.json": RegistryItem,
    "route-sets/schema.json": RouteSet,
}


def schema_text(declared: type[msgspec.Struct]) -> str:
    """The JSON Schema (draft 2020-12) of `declared`, as it is committed."""
    schema = msgspec.json.schema(declared)
    for definition in schema["$defs"].values():
        # Descriptions are docstrings, which Python strips of their indentation only since 3.13.
        definition["description"] = inspect.cleandoc(definition["description"])
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=2) + "\n"


def write_schemas(directory: Path) -> None:
    """Write every schema below `directory`, the repository's `environments/`."""
    for name, declared in SCHEMA_FILES.items():
        (directory / name).write_text(schema_text(declared), encoding="utf-8")
