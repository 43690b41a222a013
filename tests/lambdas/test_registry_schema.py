"""The guard's reading of the JSON schemas agrees with a validator that is made for them."""

from __future__ import annotations

import copy
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator

from lambdas.registry_guard import schema

ENVIRONMENTS = Path(__file__).resolve().parents[2] / "environments"
KINDS = ("models", "route-sets")


def declared(kind: str) -> list[dict[str, Any]]:
    files = sorted((ENVIRONMENTS / kind).glob("*.toml"))
    assert files
    return [json.loads(json.dumps(tomllib.loads(file.read_text()), default=str)) for file in files]


def places(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = (
        value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    )
    return [path, *(place for name, below in inner for place in places(below, (*path, name)))]


PLACES = {
    kind: [(each, place) for each in declared(kind) for place in places(each) if place] for kind in KINDS
}
ODD_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 2), st.integers(), st.floats(-1, 2), st.text(max_size=5),
    st.sampled_from(["claude", "EUR", "2026-11-01", "2026-02-30", "active", "bedrock", "a" * 300, "x\n"]),
    st.just([]), st.just({}),
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_everything_that_is_declared_passes(kind: str) -> None:
    assert [schema.violations(each, schema.read_schema(kind)) for each in declared(kind)] == [
        [] for _ in declared(kind)
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_what_another_validator_refuses_is_refused(kind: str) -> None:
    validator = Draft202012Validator(dict(schema.read_schema(kind)), validate_formats=True)

    @settings(max_examples=400, deadline=None, derandomize=True, database=None)
    @given(st.sampled_from(PLACES[kind]), ODD_VALUES, st.sampled_from(["replace", "remove", "add"]))
    def judge(chosen: tuple[dict[str, Any], tuple[str | int, ...]], odd: object, how: str) -> None:
        document, place = chosen
        changed = copy.deepcopy(document)
        holder: Any = changed
        for step in place[:-1]:
            holder = holder[step]
        if how == "remove":
            del holder[place[-1]]
        elif how == "add" and isinstance(holder, dict):
            holder["added"] = odd
        else:
            holder[place[-1]] = odd
        found = schema.violations(changed, schema.read_schema(kind))
        assert (found == []) is validator.is_valid(changed), found

    judge()


def test_a_schema_with_a_keyword_that_is_not_understood_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "odd").mkdir()
    inner = {"properties": {"a": {"type": "object", "dependentRequired": {}}}}
    (tmp_path / "odd" / "schema.json").write_text(json.dumps({"$defs": {"A": inner}}))
    monkeypatch.setattr(schema, "ENVIRONMENTS", tmp_path)
    with pytest.raises(ValueError, match="dependentRequired"):
        schema.read_schema("odd")
