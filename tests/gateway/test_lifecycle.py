"""A version is moved through its life in allowed steps only."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from gateway.control.audit import Action
from gateway.control.lifecycle import MOVES, move_action
from gateway.control.refusals import TransitionRefusedError
from gateway.control.registry import Lifecycle
from gateway.routing.policy import ModelReference, RouteSet
from tests.gateway.stores import declared_models, declared_route_set

HAIKU = next(item for item in declared_models() if item.model == "claude-haiku-4-5")
IN_FORCE = msgspec.convert(declared_route_set(), RouteSet)

DRAFT, CANARY, ACTIVE, DEPRECATED, RETIRED = Lifecycle
ALLOWED = {
    (DRAFT, CANARY): Action.PROMOTE,
    (CANARY, ACTIVE): Action.PROMOTE,
    (ACTIVE, DEPRECATED): Action.DEPRECATE,
    (DRAFT, RETIRED): Action.RETIRE,
    (CANARY, RETIRED): Action.RETIRE,
    (ACTIVE, RETIRED): Action.RETIRE,
    (DEPRECATED, RETIRED): Action.RETIRE,
    (DEPRECATED, ACTIVE): Action.REACTIVATE,
}


@pytest.mark.parametrize(("state", "to"), list(itertools.product(Lifecycle, Lifecycle)))
def test_every_pair_of_states(state: Lifecycle, to: Lifecycle) -> None:
    item = msgspec.structs.replace(HAIKU, lifecycle=state)
    if (state, to) in ALLOWED:
        assert move_action(item, to, None) is ALLOWED[state, to]
        return
    with pytest.raises(TransitionRefusedError) as refused:
        move_action(item, to, None)
    assert f"{HAIKU.key} version {HAIKU.version} is {state}" in str(refused.value)


def test_a_refusal_says_what_would_be_allowed() -> None:
    with pytest.raises(TransitionRefusedError, match="it may become canary, retired"):
        move_action(msgspec.structs.replace(HAIKU, lifecycle=DRAFT), ACTIVE, None)
    with pytest.raises(TransitionRefusedError, match="that is the end; put a new version"):
        move_action(msgspec.structs.replace(HAIKU, lifecycle=RETIRED), ACTIVE, None)
    with pytest.raises(TransitionRefusedError, match="is active already"):
        move_action(msgspec.structs.replace(HAIKU, lifecycle=ACTIVE), ACTIVE, None)


def test_every_state_has_its_moves() -> None:
    assert set(MOVES) == set(Lifecycle)


def test_a_version_that_the_route_set_in_force_names_is_not_retired() -> None:
    assert ModelReference(HAIKU.key, HAIKU.version) in IN_FORCE.models
    with pytest.raises(TransitionRefusedError, match="default@2026-11-01, names it; activate one without"):
        move_action(HAIKU, RETIRED, IN_FORCE)
    assert move_action(HAIKU, DEPRECATED, IN_FORCE) is Action.DEPRECATE
    for other in (
        msgspec.structs.replace(HAIKU, version="2026-12-01"),
        msgspec.structs.replace(HAIKU, model="claude-other"),
    ):
        assert move_action(other, RETIRED, IN_FORCE) is Action.RETIRE
