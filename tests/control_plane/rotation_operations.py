"""What happens to secrets: rotations in any order, sweeps, people, providers, and gateways that read them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from botocore.exceptions import ClientError

from gateway.control.secret_scope import Scope, within
from gateway.control.secrets import Secret, parse_key_ring, parse_provider_secret
from lambdas.secret_rotation.refusal import RotationError
from tests.control_plane.cloud import Cloud
from tests.control_plane.gate import Gate
from tests.lambdas.rotation_world import A_DAY_S, ARN, GRACE_S, KINDS, Fault, World
from tests.lambdas.strict_vault import CURRENT, PENDING, PREVIOUS

T = TypeVar("T")
SETTLING_S = (0.0, 1_000.0, A_DAY_S + 1, GRACE_S + 1, GRACE_S + 1)


class _Gated(Fault):
    """The world's calls pass by the gate that all others pass by."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self._gate = gate

    def around(self, call: Callable[[], T], error: Callable[[], Exception]) -> T:
        return self._gate.around(call, error)


@dataclass
class RotatedSecret:
    """One secret with its provider. `key` is in force since `promoted_at_s`, where a rotation put it."""

    world: World
    tokens: list[str] = field(default_factory=list)
    of_people: set[str] = field(default_factory=set)
    promoted_at_s: float | None = None
    before: str = ""
    key: str = ""
    rejects_old_keys: bool = False


class RotationOperations:
    """Every method whose name begins with `do_` is an operation."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.secrets: list[RotatedSecret] = []
        for kind in KINDS:
            world = World(kind, clock=cloud.clock)
            world.fault = _Gated(cloud.gate)
            self.secrets.append(RotatedSecret(world))
        for secret in self.secrets:
            secret.key = _key(secret.world)

    # ---- Secrets Manager and the schedule ----------------------------------------------------------

    def do_start_rotation(self, secret: int) -> None:
        one = self.secrets[secret]
        self._look(one)
        if one.world.vault.labelled(ARN, PENDING) in (None, one.world.vault.labelled(ARN, CURRENT)):
            one.tokens.append(one.world.start_rotation())

    def do_step(self, secret: int, back: int, step: str) -> None:
        one = self.secrets[secret]
        if len(one.tokens) >= back:
            self._call(one, lambda: one.world.step(one.tokens[-back], step))

    def do_rotate(self, secret: int) -> None:
        """All four steps, as they come when nothing is wrong."""
        self.do_start_rotation(secret)
        one = self.secrets[secret]
        if one.tokens:
            self._call(one, lambda: one.world.rotate(one.tokens[-1]))

    def do_sweep(self, secret: int) -> None:
        one = self.secrets[secret]
        self._call(one, one.world.sweep)

    def _call(self, one: RotatedSecret, call: Callable[[], None]) -> None:
        try:
            with contextlib.suppress(RotationError):
                call()
        finally:
            self._look(one)

    # ---- people and providers ----------------------------------------------------------------------

    def do_person_puts_pending(self, secret: int, good: bool) -> None:
        one = self.secrets[secret]
        document = self._document(one, good=good)
        token = f"person-{len(one.tokens):030d}"
        with contextlib.suppress(ClientError):
            one.world.vault.put_secret_value(
                SecretId=ARN,
                ClientRequestToken=token,
                SecretString=json.dumps(document),
                VersionStages=[PENDING],
            )
            one.tokens.append(token)

    def do_person_puts_current(self, secret: int) -> None:
        one = self.secrets[secret]
        document = self._document(one, good=True)
        if one.world.kind == "generated_keys":
            document = {"current": f"put-by-a-person-{one.world._next():020d}", "previous": ""}
        one.world.person_puts_current(document)
        one.key, one.promoted_at_s = _key(one.world), None
        one.of_people |= one.world.provider_keys()  # the key before is the person's to end

    def do_provider_rejects_old_keys(self, secret: int) -> None:
        """From now on the key before is refused at the moment its successor is promoted."""
        self.secrets[secret].rejects_old_keys = True

    def do_provider_is_slow(self, attempts: int) -> None:
        """The newest key is not known everywhere yet."""
        google = self.secrets[KINDS.index("google_service_account")].world.google
        newest = google.files[-1]["private_key_id"]
        if newest != self.secrets[KINDS.index("google_service_account")].key:
            google.unknown_until[newest] = attempts

    def _document(self, one: RotatedSecret, *, good: bool) -> dict[str, Any]:
        world, current = one.world, one.world.current
        if world.kind == "generated_keys":
            new = f"drawn-by-a-person-{world._next():020d}"
            return {"current": new, "previous": current["current"] if good else ""}
        if world.kind == "google_service_account":
            if not good:
                return {**current, "private_key_id": "0" * 40}
            if len(world.google.keys) > 4:
                return {**current}
            file = world.google.new_key_file()
            one.of_people.add(file["private_key_id"])
            return dict(file)
        if not good:
            return {"api_key": "sk-of-nobody-at-all"}
        return {"api_key": world.administration.new_key()}

    # ---- what must hold ----------------------------------------------------------------------------

    def _look(self, one: RotatedSecret) -> None:
        """After every call: what is in force works, for the provider and for callers."""
        key = _key(one.world)
        if key != one.key:
            one.before, one.key = one.key, key
            one.promoted_at_s = self.cloud.clock.at_s
            self.cloud.effects[f"promoted {one.world.kind}"] += 1
            if one.rejects_old_keys and one.world.kind == "api_key_by_hand":
                one.world.administration.keys.discard(one.before)

    def check(self) -> None:
        for one in self.secrets:
            one.world.check_always()
            if one.world.kind == "generated_keys":
                self._check_callers(one)

    def _check_callers(self, one: RotatedSecret) -> None:
        """The gateway takes the key in force, and for as long as they overlap the one before."""
        ring = self._read(one, parse_key_ring)
        assert ring.accepts(one.key), "the gateway refuses the key in force"
        promoted_at_s = one.promoted_at_s
        if promoted_at_s is not None and self.cloud.clock.at_s - promoted_at_s < GRACE_S - 2:
            assert ring.accepts(one.before), "the gateway refuses the key before within its overlap"

    def _read(self, one: RotatedSecret, parse: Callable[[str], T]) -> T:
        scope = Scope(environment="test", region="eu-central-1", provider=one.world.provider)
        secret = Secret(cast("Any", one.world.vault), ARN, within(scope, parse))
        return secret.load(None).value

    def check_settled(self) -> None:
        """Sweeps until all that was begun is over: no label is left, and no key that nobody carries."""
        for pause_s in SETTLING_S:
            self.cloud.clock.sleep(pause_s)
            for one in self.secrets:
                self._call(one, one.world.sweep)
        for one in self.secrets:
            world = one.world
            world.check_always()
            assert world.vault.labelled(ARN, PENDING) is None, f"AWSPENDING is left on {world.kind}"
            carried = world.labelled_key_ids(CURRENT, PREVIOUS)
            orphans = world.provider_keys() - carried - one.of_people
            assert not orphans, f"{len(orphans)} keys of {world.kind} that nobody carries"
            if world.kind != "generated_keys":
                self._read(one, parse_provider_secret)

    def check_rotatable(self) -> None:
        """Whatever has happened, once it is settled the next rotation goes through."""
        for one in self.secrets:
            world = one.world
            token = world.start_rotation()
            world.rotate(token)
            assert world.vault.labelled(ARN, CURRENT) == token, f"{world.kind} cannot be rotated any more"
            self._look(one)
        self.check()

    def check_silent(self) -> None:
        said = self.cloud.said.getvalue()
        for one in self.secrets:
            one.world.check_silent()
            for key in one.world.every_key():
                assert key not in said, "a key was logged"


def _key(world: World) -> str:
    current = world.current
    return str(current.get("current") or current.get("api_key") or current.get("private_key_id"))
