"""Random operations on the whole control plane, drawn from a seed, and made fewer when they break it."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.control.flag_declarations import DECLARED
from tests.control_plane.audit_watch import AuditWatch
from tests.control_plane.cloud import ALARMS, STORES, Cloud
from tests.control_plane.flag_operations import FlagOperations
from tests.control_plane.gate import HOWS, Trouble
from tests.control_plane.registry_operations import ROUTE_SETS, RegistryOperations
from tests.control_plane.replica import TIERS
from tests.control_plane.rotation_operations import RotationOperations
from tests.lambdas.rotation_world import KINDS, STEPS, CrashError

CALLERS = ("replica-0", "replica-1", "replica-2", "flag-update", "kill-switch", "anna", "boris")
WHO = ("anna", "boris")
SPREAD = 0.5
"""Of the operations that are about anything at all, and not about what their run is about."""
SWITCH_TEXTS = ("on", "on", "off", "off", " ON ", "yes", "0", "nonsense", "-")
STAGE_TEXTS = ("off", "shadow", "shadow", "canary", "canary", "active", "Shadow", "nonsense")
NUMBER_TEXTS = ("0", "1", "3", "5", "100", "101", "-1", "2.5", "nonsense")
TEXTS = {"rollout-stage": STAGE_TEXTS, "rollout.shadow-decisions": NUMBER_TEXTS}
STAGE_FLAGS = ("rollout-stage", "rollout-stage", "rollout.shadow-decisions", "rollout.shadow-share")
STATES = ("canary", "active", "active", "deprecated", "retired", "draft")
FLAGS = (*DECLARED, *STAGE_FLAGS, "kill-switch.bedrock", "kill-switch.bedrock", "no-flag")


@dataclass(frozen=True)
class Operation:
    """`name` of a method without `do_`; `meanwhile` goes first at the call that `trouble` names."""

    name: str
    arguments: Mapping[str, Any]
    trouble: Trouble | None = None
    meanwhile: Operation | None = None


@dataclass
class Report:
    """What one or many runs did."""

    runs: int = 0
    steps: int = 0
    operations: Counter[str] = field(default_factory=Counter)
    happened: Counter[str] = field(default_factory=Counter)
    effects: Counter[str] = field(default_factory=Counter)

    def add(self, other: Report) -> None:
        self.runs += other.runs
        self.steps += other.steps
        self.operations.update(other.operations)
        self.happened.update(other.happened)
        self.effects.update(other.effects)


Draw = Callable[[random.Random], Mapping[str, Any]]


def _text(chance: random.Random, flag: str) -> str:
    if flag.startswith("kill-switch"):
        return chance.choice(SWITCH_TEXTS)
    return chance.choice(TEXTS.get(flag, NUMBER_TEXTS))


def _flag_and_text(chance: random.Random) -> dict[str, Any]:
    flag = chance.choice(FLAGS)
    return {"flag": flag, "text": _text(chance, flag)}


def _version(chance: random.Random) -> dict[str, Any]:
    return {"model": chance.randrange(3), "version": chance.choice((0, 1, 2, 2, 2))}


def _declared(chance: random.Random) -> tuple[int, int, int, str]:
    lifecycle = chance.choice(("active", "active", "canary", "draft"))
    return chance.randrange(3), chance.randrange(3), chance.choice((0, 0, 0, 1)), lifecycle


def _secret(chance: random.Random) -> dict[str, Any]:
    return {"secret": chance.randrange(len(KINDS))}


DRAWS: Mapping[str, tuple[int, Draw]] = {
    "put_parameter": (8, _flag_and_text),
    "delete_parameter": (2, lambda chance: {"flag": chance.choice(FLAGS)}),
    "write": (12, lambda chance: {**_flag_and_text(chance), "who": chance.choice(WHO)}),
    "alarm": (
        4,
        lambda chance: {
            "name": chance.choice((*ALARMS, "alarm-of-bedrock")),
            "age_ms": chance.choice((0, 0, 5, 1000, 60_000)),
        },
    ),
    "alarm_again": (2, lambda _chance: {}),
    "reconcile": (6, lambda _chance: {}),
    "deliver_event": (
        6,
        lambda chance: {"number": chance.randrange(100), "keep": chance.random() < 0.2},
    ),
    "lose_event": (3, lambda chance: {"number": chance.randrange(100)}),
    "replica_reads": (
        8,
        lambda chance: {
            "replica": chance.randrange(3),
            "tiers": tuple(chance.sample(TIERS, chance.randint(1, 3))),
        },
    ),
    "replica_restarts": (
        1,
        lambda chance: {"replica": chance.randrange(3), "ahead_s": chance.choice((0.0, 0.0, 0.2, 5.0))},
    ),
    "replica_answers": (
        3,
        lambda chance: {"replica": chance.randrange(3), "requests": chance.choice((1, 10, 40))},
    ),
    "propose_version": (
        3,
        lambda chance: {
            **_version(chance),
            "variant": chance.choice((0, 0, 1, 2)),
            "who": chance.choice(WHO),
        },
    ),
    "move": (
        10,
        lambda chance: {**_version(chance), "to": chance.choice(STATES), "who": chance.choice(WHO)},
    ),
    "propose_route_set": (
        3,
        lambda chance: {"number": chance.randrange(ROUTE_SETS), "who": chance.choice(WHO)},
    ),
    "activate": (5, lambda chance: {"number": chance.randrange(ROUTE_SETS), "who": chance.choice(WHO)}),
    "roll_back": (2, lambda chance: {"who": chance.choice(WHO)}),
    "deploy": (
        4,
        lambda chance: {
            "items": tuple(_declared(chance) for _ in range(chance.randint(1, 4))),
            "route_set": chance.choice((0, 0, 0, chance.randrange(ROUTE_SETS))),
        },
    ),
    "replica_refreshes": (3, lambda chance: {"replica": chance.randrange(3)}),
    "start_rotation": (5, _secret),
    "step": (
        12,
        lambda chance: {**_secret(chance), "back": chance.choice((1, 1, 1, 2)), "step": chance.choice(STEPS)},
    ),
    "rotate": (6, _secret),
    "sweep": (8, _secret),
    "person_puts_pending": (2, lambda chance: {**_secret(chance), "good": chance.random() < 0.6}),
    "person_puts_current": (1, _secret),
    "provider_rejects_old_keys": (1, _secret),
    "provider_is_slow": (1, lambda chance: {"attempts": chance.choice((1, 3, 50))}),
    "lose_store": (
        3,
        lambda chance: {"store": chance.choice(STORES), "caller": chance.choice((*CALLERS, "everybody"))},
    ),
    "stores_come_back": (3, lambda _chance: {}),
    "time_passes": (3, lambda chance: {"seconds": chance.choice((0.01, 2.0, 300.0, 7200.0, 90_000.0))}),
    "settle": (1, lambda _chance: {}),
}
WITHOUT_TROUBLE = {
    "replica_reads",
    "replica_restarts",
    "lose_store",
    "stores_come_back",
    "time_passes",
    "settle",
    "lose_event",
    "replica_refreshes",
    "start_rotation",
    "person_puts_pending",
    "person_puts_current",
    "provider_rejects_old_keys",
    "provider_is_slow",
}
MEANWHILE = tuple(name for name in DRAWS if name not in {"settle"})


def drawn(chance: random.Random, steps: int) -> list[Operation]:
    """So many operations, of which every third meets some trouble, and half are about the same few things."""
    focus = {
        "flag": chance.choice(tuple(DECLARED)),
        "secret": chance.randrange(len(KINDS)),
        **_version(chance),
    }
    return [_operation(chance, tuple(DRAWS), focus) for _ in range(steps)]


def _operation(
    chance: random.Random, names: Sequence[str], focus: Mapping[str, Any], *, alone: bool = False
) -> Operation:
    name = chance.choices(names, [DRAWS[each][0] for each in names])[0]
    arguments = _focused(chance, DRAWS[name][1](chance), focus)
    if alone or name in WITHOUT_TROUBLE or chance.random() < 0.5:
        return Operation(name, arguments)
    trouble = Trouble(min(chance.randint(1, 14), chance.randint(1, 14)), chance.choice((*HOWS, "meanwhile")))
    if trouble.how != "meanwhile":
        return Operation(name, arguments, trouble)
    return Operation(name, arguments, trouble, _operation(chance, MEANWHILE, focus, alone=True))


def _focused(
    chance: random.Random, arguments: Mapping[str, Any], focus: Mapping[str, Any]
) -> Mapping[str, Any]:
    """What happens to the same thing, or meanwhile, is what goes wrong."""
    if chance.random() < SPREAD:
        return arguments
    focused = {name: focus[name] for name in arguments if name in focus}
    if "text" in arguments:
        focused["text"] = _text(chance, focus["flag"])
    return {**arguments, **focused}


class Plane(Protocol):
    """A part of the control plane: `do_` begins its operations."""

    def check(self) -> None:
        """What holds after every operation."""
        ...

    def check_settled(self) -> None:
        """What holds once everything that was begun is through."""
        ...


class Run:
    """One control plane, to which operations happen one after the other; `rotates` costs most of the time."""

    def __init__(self, *, rotates: bool = True) -> None:
        self._rotates = rotates
        self.cloud = Cloud()
        self.report = Report(runs=1)
        self.planes: Sequence[Plane] = ()

    def play(self, operations: Sequence[Operation]) -> None:
        """
        Raises:
            AssertionError: something that must hold did not.
        """
        with self.cloud.installed():
            audit = AuditWatch(self.cloud)
            flags = FlagOperations(self.cloud)
            registry = RegistryOperations(self.cloud, flags.replicas)
            rotation = RotationOperations(self.cloud) if self._rotates else None
            self.planes = (flags, registry, audit, *((rotation,) if rotation else ()))
            for operation in operations:
                self.report.steps += 1
                self._happen(operation)
                self._check()
            self.do_settle()
            self._check()
            if rotation is not None:
                rotation.check_rotatable()
                rotation.check_silent()
        self.report.happened = self.cloud.gate.happened
        self.report.effects = self.cloud.effects

    def _happen(self, operation: Operation) -> None:
        meanwhile = operation.meanwhile
        self.cloud.gate.plan(
            operation.trouble, (lambda: self._perform(meanwhile)) if meanwhile is not None else None
        )
        self._perform(operation)
        self.cloud.gate.plan(None)

    def _perform(self, operation: Operation) -> None:
        self.report.operations[operation.name] += 1
        name = f"do_{operation.name}"
        owner = next(each for each in (self, *self.planes) if hasattr(each, name))
        with contextlib.suppress(CrashError):
            getattr(owner, name)(**operation.arguments)

    def _check(self) -> None:
        assert not self.cloud.broken, self.cloud.broken[0]
        for plane in self.planes:
            plane.check()

    # ---- the surroundings --------------------------------------------------------------------------

    def do_lose_store(self, store: str, caller: str) -> None:
        callers = CALLERS if caller == "everybody" else (caller,)
        self.cloud.gate.lost |= {(each, store) for each in callers}

    def do_stores_come_back(self) -> None:
        self.cloud.gate.lost.clear()

    def do_time_passes(self, seconds: float) -> None:
        self.cloud.clock.sleep(seconds)

    def do_settle(self) -> None:
        self.cloud.gate.lost.clear()
        for plane in self.planes:
            plane.check_settled()


@dataclass(frozen=True)
class Failure:
    """What was broken, and the shortest list of operations found that breaks it."""

    seed: int
    problem: str
    operations: tuple[Operation, ...]

    def __str__(self) -> str:
        lines = "\n".join(f"  {each}" for each in self.operations)
        return f"seed {self.seed}: {self.problem}\n{lines}"


def run(seed: int, steps: int) -> Report | Failure:
    """The run of one seed."""
    operations = drawn(random.Random(seed), steps)  # noqa: S311 - repeatable
    played = Run()
    problem = problem_of(operations, played)
    if problem is None:
        return played.report
    return Failure(seed, *_shortened(operations, problem))


def problem_of(operations: Sequence[Operation], played: Run | None = None) -> str | None:
    """What the operations break, in a control plane of their own; None where all holds."""
    try:
        (played or Run()).play(operations)
    except AssertionError as error:
        return str(error) or "an assertion"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def _shortened(operations: Sequence[Operation], problem: str) -> tuple[str, tuple[Operation, ...]]:
    """Leave out whatever the failure does not need."""
    kept, size = list(operations), max(1, len(operations) // 2)
    while size:
        position = 0
        while position < len(kept):
            fewer = kept[:position] + kept[position + size :]
            found = problem_of(fewer)
            if found is None:
                position += size
            else:
                kept, problem = fewer, found
        size //= 2
    return problem, tuple(kept)
