"""A route set is activated only where every model of it may answer here."""

from __future__ import annotations

import json

import msgspec
import pytest

from gateway.control.registry import Lifecycle, RegistryItem, RegistryView
from gateway.control.route_set_judgement import route_set_problems, text_problems
from gateway.routing.policy import MAXIMUM_ROUTE_SET_BYTES, RouteSet
from tests.gateway.stores import declared_models, declared_route_set

ROUTE_SET = msgspec.convert(declared_route_set(), RouteSet)
REGISTRY: RegistryView = {(item.key, item.version): item for item in declared_models()}
FIRST = REGISTRY[ROUTE_SET.models[0].key, ROUTE_SET.models[0].version]
NAME = f"models[0]: {FIRST.key} version {FIRST.version}"


def with_first(**changes: object) -> RegistryView:
    item: RegistryItem = msgspec.structs.replace(FIRST, **changes)
    return {**REGISTRY, (FIRST.key, FIRST.version): item}


def test_the_declared_route_set_is_good() -> None:
    assert route_set_problems(ROUTE_SET, REGISTRY, eu_only=True) == ()
    assert text_problems(json.dumps(declared_route_set()), REGISTRY, eu_only=True) == ()


@pytest.mark.parametrize("state", Lifecycle)
def test_drafts_and_retired_versions_are_not_activated(state: Lifecycle) -> None:
    problems = route_set_problems(ROUTE_SET, with_first(lifecycle=state), eu_only=True)
    if state in (Lifecycle.DRAFT, Lifecycle.RETIRED):
        assert problems == (f"{NAME} is {state}; it must be canary, active or deprecated",)
    else:
        assert problems == ()


@pytest.mark.parametrize("fact", ["eu_processing", "eu_licence"])
def test_what_must_stay_in_the_eu_is_judged_where_the_environment_asks_for_it(fact: str) -> None:
    outside = with_first(residency=msgspec.structs.replace(FIRST.residency, **{fact: False}))
    (problem,) = route_set_problems(ROUTE_SET, outside, eu_only=True)
    assert problem.startswith(NAME)
    assert "EU_ONLY" in problem
    assert route_set_problems(ROUTE_SET, outside, eu_only=False) == ()


def test_every_problem_is_told_with_its_field() -> None:
    assert len(ROUTE_SET.models) > 2
    nothing: RegistryView = {}
    problems = route_set_problems(ROUTE_SET, nothing, eu_only=True)
    assert [problem.partition(":")[0] for problem in problems] == [
        f"models[{index}]" for index in range(len(ROUTE_SET.models))
    ]
    assert all("is not registered" in problem for problem in problems)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", json.dumps({**declared_route_set(), "stray": 1})])
def test_a_text_that_is_no_route_set_is_not_activated(text: str) -> None:
    (problem,) = text_problems(text, REGISTRY, eu_only=True)
    assert problem.startswith("it is no route set: ")


def test_a_text_that_no_parameter_holds_is_not_activated() -> None:
    declared = json.dumps(declared_route_set())
    fitting = declared + " " * (MAXIMUM_ROUTE_SET_BYTES - len(declared.encode()))
    assert text_problems(fitting, REGISTRY, eu_only=True) == ()
    (problem,) = text_problems(fitting + " ", REGISTRY, eu_only=True)
    assert "4097 bytes" in problem
