"""What the repository declares is sound, and routes as the project promises."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import jsonschema_rs
import msgspec
import pytest

from gateway.control.registry import RegistryItem
from gateway.routing.policy import MAXIMUM_ROUTE_SET_BYTES, RouteSet, parse_route_set
from gateway.schemas import SCHEMA_FILES, schema_text, write_schemas
from tests.gateway.stores import ENVIRONMENTS, declared_models

MODEL_FILES = sorted(ENVIRONMENTS.glob("models/*.toml"))
ROUTE_SET_FILES = sorted(ENVIRONMENTS.glob("route-sets/*.toml"))


@pytest.mark.parametrize("name", SCHEMA_FILES)
def test_the_committed_schema_is_the_one_the_types_give(name: str) -> None:
    remedy = "run `python -m gateway schemas ../environments` in gateway_image/"
    assert (ENVIRONMENTS / name).read_text() == schema_text(SCHEMA_FILES[name]), remedy


def test_the_command_writes_every_schema(tmp_path: Path) -> None:
    for name in SCHEMA_FILES:
        (tmp_path / name).parent.mkdir()
    write_schemas(tmp_path)
    for name in SCHEMA_FILES:
        assert (tmp_path / name).read_text() == (ENVIRONMENTS / name).read_text()


@pytest.mark.parametrize("file", MODEL_FILES, ids=lambda file: file.stem)
def test_a_declared_model_fits_its_schema_and_survives_a_round_trip(file: Path) -> None:
    declared = tomllib.loads(file.read_text())
    schema = json.loads((ENVIRONMENTS / "models/schema.json").read_text())
    jsonschema_rs.validator_for(schema).validate(declared)
    item = msgspec.convert(declared, RegistryItem)
    assert msgspec.to_builtins(item) == declared
    assert file.stem == item.key.replace("#", "-")


@pytest.mark.parametrize("file", ROUTE_SET_FILES, ids=lambda file: file.stem)
def test_a_declared_route_set_fits_its_schema_and_one_parameter(file: Path) -> None:
    declared = tomllib.loads(file.read_text())
    schema = json.loads((ENVIRONMENTS / "route-sets/schema.json").read_text())
    jsonschema_rs.validator_for(schema).validate(declared)
    text = json.dumps(declared, separators=(",", ":"))
    assert len(text.encode()) <= MAXIMUM_ROUTE_SET_BYTES
    route_set = parse_route_set(text)
    assert route_set == msgspec.convert(declared, RouteSet)
    assert route_set.name == file.stem


def test_the_default_route_set_names_declared_versions_only() -> None:
    registered = {(item.key, item.version) for item in declared_models()}
    for file in ROUTE_SET_FILES:
        route_set = msgspec.convert(tomllib.loads(file.read_text()), RouteSet)
        assert {(each.key, each.version) for each in route_set.models} <= registered


def test_every_declared_model_may_serve_the_eu() -> None:
    for item in declared_models():
        assert item.residency.eu_processing, item.key
        assert item.residency.eu_licence, item.key
