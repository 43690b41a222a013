"""Rotates the gateway's secrets, called by Secrets Manager step by step, and sweeps behind by a schedule.

Secrets Manager sends `{"SecretId": ARN, "ClientRequestToken": version, "Step": one of four}` and takes an
error for a no; EventBridge sends `{"sweep": true}`. See docs/runbooks/rotation.md.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from lambdas.secret_rotation.http_call import Send, send
from lambdas.secret_rotation.measurement import write_line, write_measured
from lambdas.secret_rotation.patience import Patience
from lambdas.secret_rotation.refusal import RotationError, in_words
from lambdas.secret_rotation.rotation import STEPS, Rotation
from lambdas.secret_rotation.settings import RotatedSecret, Settings
from lambdas.secret_rotation.stored_secret import StoredSecret
from lambdas.secret_rotation.strategies import strategy_of
from lambdas.secret_rotation.strategy import Strategy
from lambdas.secret_rotation.sweep import Sweep, Swept
from lambdas.secret_rotation.vault import Vault, open_vault

LONGEST_PATIENCE_S: Final = 90.0
KEPT_FOR_THE_END_S: Final = 20.0
"""Of the function's time, for what follows the last attempt of a test."""

_VERSION_ID = re.compile(r"[A-Za-z0-9_-]{32,64}")


class Context(Protocol):
    """The part of Lambda's context that is used."""

    def get_remaining_time_in_millis(self) -> int:
        """Until Lambda ends the function."""
        ...


@dataclass(frozen=True, kw_only=True)
class Outside:
    """Everything that is not this function: AWS, providers, and time."""

    vault: Vault
    send: Send
    now_s: Callable[[], float]
    sleep: Callable[[float], None]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One call of Secrets Manager."""

    secret: RotatedSecret
    version_id: str
    name: str


class SweepAll:
    """One call of the schedule."""


Call: TypeAlias = Step | SweepAll


def parse_event(event: object, settings: Settings) -> Call:
    """What an event asks for.

    Raises:
        RotationError: nothing that this function does, or a secret that is not this function's.
    """
    if not isinstance(event, Mapping):
        raise RotationError(f"the event is a {type(event).__name__}; send an object")
    if "sweep" in event:
        if event["sweep"] is not True or len(event) > 1:
            raise RotationError('`sweep` stands alone and is true; send {"sweep": true}')
        return SweepAll()
    for field in ("SecretId", "ClientRequestToken", "Step"):
        if not isinstance(event.get(field), str):
            raise RotationError(f"`{field}` of the event is a {type(event.get(field)).__name__}; send a text")
    secret = settings.secrets.get(event["SecretId"])
    if secret is None:
        raise RotationError(
            "`SecretId` of the event names no secret of ROTATED_SECRETS; send one of their ARNs"
        )
    if not _VERSION_ID.fullmatch(event["ClientRequestToken"]):
        raise RotationError("`ClientRequestToken` of the event is no version id of 32 to 64 characters")
    if event["Step"] not in STEPS:
        raise RotationError(f"`Step` of the event is none of {', '.join(STEPS)}")
    return Step(secret=secret, version_id=event["ClientRequestToken"], name=event["Step"])


def take_step(step: Step, outside: Outside, patience_s: float) -> None:
    """Take one step, and measure.

    Raises:
        RotationError: it failed, in words that may be logged.
    """
    rotation = Rotation(
        StoredSecret(outside.vault, step.secret.arn),
        step.version_id,
        strategy=_strategy(step.secret, outside),
        scope=step.secret.scope,
        patience=Patience(ends_at_s=outside.now_s() + patience_s, now_s=outside.now_s, sleep=outside.sleep),
    )
    failure: str | None = None
    outcome = ""
    try:
        outcome = rotation.run(step.name)
    except Exception as error:
        failure = in_words(error)
    write_measured(
        "rotation step",
        step.secret,
        at_s=outside.now_s(),
        failed=failure is not None,
        step=step.name,
        version=step.version_id,
        result=failure or outcome,
    )
    if failure is not None:
        raise RotationError(f"{step.name} of {step.secret.name}: {failure}")


def sweep(settings: Settings, outside: Outside) -> None:
    """Sweep every secret, and measure each; one that fails keeps no other from its sweep."""
    for secret in settings.secrets.values():
        swept = _swept(secret, outside)
        write_measured(
            "rotation sweep",
            secret,
            at_s=outside.now_s(),
            failed=bool(swept.problems),
            age_days=swept.age_days,
            done=swept.done,
            problems=swept.problems,
        )


def _swept(secret: RotatedSecret, outside: Outside) -> Swept:
    try:
        return Sweep(
            StoredSecret(outside.vault, secret.arn),
            strategy=_strategy(secret, outside),
            scope=secret.scope,
            now_s=outside.now_s,
        ).run()
    except Exception as error:
        return Swept(done=(), problems=(in_words(error),), age_days=None)


def _strategy(secret: RotatedSecret, outside: Outside) -> Strategy:
    return strategy_of(secret, vault=outside.vault, send=outside.send, now_s=outside.now_s)


def handler(
    event: object,
    context: Context | None,
    *,
    variables: Mapping[str, str] = os.environ,
    outside: Outside | None = None,
) -> None:
    """Answer one event.

    Raises:
        RotationError: it is refused, or its step failed.
    """
    try:
        settings = Settings.read(variables)
        call = parse_event(event, settings)
    except RotationError as error:
        write_line("rotation refused", reason=str(error))
        raise
    outside = outside or Outside(vault=open_vault(), send=send, now_s=time.time, sleep=time.sleep)
    if isinstance(call, SweepAll):
        sweep(settings, outside)
    else:
        take_step(call, outside, _patience_s(context))


def _patience_s(context: Context | None) -> float:
    """How long a test may be tried again within the function's own time."""
    if context is None:
        return 0.0
    remaining_s = context.get_remaining_time_in_millis() / 1000
    return max(0.0, min(LONGEST_PATIENCE_S, remaining_s - KEPT_FOR_THE_END_S))
