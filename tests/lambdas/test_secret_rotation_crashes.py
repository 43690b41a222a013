"""A rotation that breaks off at any call ends well, however it is taken up again."""

from __future__ import annotations

import copy
import hashlib
import itertools
import random
from collections.abc import Callable
from unittest import mock

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from lambdas.secret_rotation.refusal import RotationError
from lambdas.secret_rotation.rsa_signature import PrivateKey
from lambdas.secret_rotation.sweep import OVERLAP_ENDED
from tests.lambdas.rotation_world import A_DAY_S, ARN, GRACE_S, KINDS, STEPS, CrashError, World
from tests.lambdas.strict_vault import CURRENT, PENDING

MINUTES_S = 60.0


@pytest.fixture(autouse=True)
def cheap_signatures() -> object:
    """Thousands of rotations: a digest that only the key's owner makes stands in for RSA."""

    def sign(key: PrivateKey, message: bytes) -> bytes:
        return hashlib.sha256(str(key.n).encode() + message).digest()

    def is_valid(_google: object, public: rsa.RSAPublicKey, signature: bytes, signed: bytes) -> bool:
        return signature == hashlib.sha256(str(public.public_numbers().n).encode() + signed).digest()

    with (
        mock.patch.object(PrivateKey, "sign", sign),
        mock.patch("tests.lambdas.simulated_key_makers._signature_is_valid", lambda *a: is_valid(None, *a)),
    ):
        yield


def rotated_once(kind: str) -> World:
    """So that there is a previous key within its grace period."""
    world = World(kind)
    world.rotate(world.start_rotation())
    world.sweep()
    world.clock.at_s += 10 * MINUTES_S
    return world


def whole_life(world: World, token: str) -> None:
    """A rotation, the sweep after it, and the sweep at the end of the grace period."""
    world.rotate(token)
    world.sweep()
    world.clock.at_s += GRACE_S + 1
    world.sweep()


def number_of_calls(kind: str) -> int:
    world = rotated_once(kind)
    token = world.start_rotation()
    world.fault.calls = 0
    whole_life(world, token)
    return world.fault.calls


def again_from(first: str) -> Callable[[World, str], None]:
    """Secrets Manager tries again: some step is the first to come, then all of them."""

    def recover(world: World, token: str) -> None:
        with world.broken():
            world.step(token, first)
        with world.broken():
            world.rotate(token)
        assert world.vault.labelled(ARN, CURRENT) in (token, world.vault.labelled(ARN, OVERLAP_ENDED))

    return recover


def by_the_sweep_after(pause_s: float) -> Callable[[World, str], None]:
    """Secrets Manager gives up; the sweep finishes or cleans up."""

    def recover(world: World, _token: str) -> None:
        world.sweep()
        world.clock.at_s += pause_s
        world.sweep()

    return recover


FAULTS = (("before", "crash"), ("after", "crash"), ("after", "error"))
"""Ended before or after the call took effect; or it took effect and its answer was lost."""

RECOVERIES_BY_THE_SWEEP = {
    "by the sweep soon": by_the_sweep_after(16 * MINUTES_S),
    "by the sweep after a day": by_the_sweep_after(A_DAY_S + 1),
}
RECOVERIES = {
    **{f"again from {step}": again_from(step) for step in STEPS},
    **RECOVERIES_BY_THE_SWEEP,
}


@pytest.mark.parametrize("recovery", RECOVERIES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_crash_at_any_call_is_recovered_from(kind: str, recovery: str) -> None:
    calls = number_of_calls(kind)
    assert calls > 15
    before = rotated_once(kind)
    for number, (when, how) in itertools.product(range(1, calls + 1), FAULTS):
        world = copy.deepcopy(before)
        token = world.start_rotation()
        world.fault.plan(number, when, how)
        with world.broken():
            whole_life(world, token)
        RECOVERIES[recovery](world, token)
        for pause_s in (16 * MINUTES_S, A_DAY_S + 1):
            world.clock.at_s += pause_s
            world.sweep()
        world.clock.at_s += GRACE_S + 1
        world.sweep()
        world.check_ended()
        world.check_silent()
        if recovery in RECOVERIES_BY_THE_SWEEP:
            world.rotate(world.start_rotation())


@pytest.mark.parametrize("kind", KINDS)
def test_the_steps_may_come_in_any_order_and_number(kind: str) -> None:
    before = rotated_once(kind)
    for order in itertools.product(STEPS, repeat=3):
        world = copy.deepcopy(before)
        token = world.start_rotation()
        for step in order:
            with world.broken():
                world.step(token, step)
        world.rotate(token)
        world.check_settled()
        assert world.vault.labelled(ARN, CURRENT) == token
        assert len(world.provider_keys()) <= 2
        world.check_silent()


def test_whatever_happens_the_current_value_works_and_nothing_is_left() -> None:
    for seed in range(150):
        walk(random.Random(seed))  # noqa: S311


def walk(chance: random.Random) -> None:
    """Random steps of present and past rotations, sweeps, time, crashes, and people."""
    world = World(chance.choice(KINDS))
    tokens: list[str] = []
    for _ in range(chance.randrange(5, 30)):
        world.fault.plan(
            chance.choice((0, 0, chance.randrange(1, 20))),
            chance.choice(("before", "after")),
            chance.choice(("crash", "error")),
        )
        with world.broken():
            happen(world, tokens, chance)
    world.fault.plan(0, "", "")
    for pause_s in (0.0, A_DAY_S + 1, GRACE_S + 1, GRACE_S + 1):
        world.clock.at_s += pause_s
        world.sweep()
    world.check_settled()
    world.rotate(world.start_rotation())
    world.clock.at_s += 16 * MINUTES_S
    world.sweep()
    world.clock.at_s += GRACE_S + 1
    world.sweep()
    world.check_settled()
    world.check_silent()


def happen(world: World, tokens: list[str], chance: random.Random) -> None:
    what = chance.randrange(10)
    if what < 2 and world.vault.labelled(ARN, PENDING) is None:
        tokens.append(world.start_rotation())
    elif what < 7 and tokens:
        world.step(chance.choice(tokens[-2:]), chance.choice(STEPS))
    elif what < 9:
        world.sweep()
    else:
        world.clock.at_s += chance.choice((60.0, 1_000.0, GRACE_S, A_DAY_S))


def test_the_end_of_the_function_is_not_caught() -> None:
    world = World("generated_keys")
    token = world.start_rotation()
    world.fault.plan(1, "before", "crash")
    with pytest.raises(CrashError):
        world.step(token, "createSecret")
    world.fault.plan(1, "before", "error")
    with pytest.raises(RotationError):
        world.step(token, "createSecret")
