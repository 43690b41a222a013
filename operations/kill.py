"""The kill switches: the one command that must work when stores do not.

What it needs is looked up side by side and with short patience, and what is not found is left out: Parameter
Store alone is enough to kill, and its names are known without asking.
"""

from __future__ import annotations

from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from gateway.control.audit import AuditTable
from gateway.control.flag_declaration import Switch
from gateway.control.flag_declarations import KILL_SWITCH_ALL, KILL_SWITCHES
from gateway.control.flag_writer import PATIENCE_S, FlagWriter
from operations.environment import Account, enter_in_an_emergency
from operations.errors import explained
from operations.flags import tell_failed
from operations.look_ups import LookUps, NoAnswerInTimeError
from operations.stores import FLAGS, REGISTRY, operator

ALL = "all"
SWITCHES = {ALL: KILL_SWITCH_ALL, **{str(provider): flag for provider, flag in KILL_SWITCHES.items()}}
"""What an operator names → the flag that stops it."""

NOT_LOOKED_UP = "name-not-looked-up"

FIRST_WRITE_WITHIN_S = 0.8
"""From the command's begin to a kill's first write, whatever hangs: STS, CloudFormation, the flag table."""

KILL_LOOK_UPS_S = 0.6
"""Of it, for STS and CloudFormation; the rest is left for the state before and for the audit record."""

REVIVE_LOOK_UPS_S = 5.0
"""To let a provider be called again is urgent for nobody, and wants its record."""


@dataclass(frozen=True)
class Tables:
    """The tables of the records and of the flags; names of none where CloudFormation does not tell them."""

    audit: str = NOT_LOOKED_UP
    flags: str = NOT_LOOKED_UP


def kill(environment: str, provider: str, why: str) -> int:
    """Stop a provider, or everything; 1 where it is in force but a store did not take it."""
    look_ups = LookUps(KILL_LOOK_UPS_S)
    account, tables = _entered(environment, look_ups)
    left_s = max(0.0, FIRST_WRITE_WITHIN_S - look_ups.elapsed_s)
    return _switch(account, tables, provider, Switch.ON, why, patience_before_s=min(PATIENCE_S, left_s / 2))


def revive(environment: str, provider: str, why: str) -> int:
    """Let a provider, or everything, be called again."""
    account, tables = _entered(environment, LookUps(REVIVE_LOOK_UPS_S))
    return _switch(account, tables, provider, Switch.OFF, why, patience_before_s=PATIENCE_S)


def _entered(environment: str, look_ups: LookUps) -> tuple[Account, Tables]:
    """The account and its tables, as far as they are known in time.

    Raises:
        OperationError: the credentials are of another account, or nothing is deployed that could be stopped.
    """
    entry = enter_in_an_emergency(environment, (REGISTRY, FLAGS), look_ups)
    try:
        registry, flags = (look_ups.take(entry.outputs[stack]) for stack in (REGISTRY, FLAGS))
        tables = Tables(
            registry.get("AuditTableName", NOT_LOOKED_UP), flags.get("FlagTableName", NOT_LOOKED_UP)
        )
    except (BotoCoreError, ClientError, NoAnswerInTimeError) as error:
        print(f"wrong: Parameter Store alone is written: {_why(error, environment)}")
        tables = Tables()
    return entry.account(look_ups), tables


def _why(error: BotoCoreError | ClientError | NoAnswerInTimeError, environment: str) -> str:
    if isinstance(error, NoAnswerInTimeError):
        return f"CloudFormation gives {error}"
    return str(explained(error, environment))


def _switch(
    account: Account, tables: Tables, provider: str, to: Switch, why: str, *, patience_before_s: float
) -> int:
    author = operator(account, why)
    writer = FlagWriter(
        account.ssm,
        account.dynamodb,
        AuditTable(account.dynamodb, tables.audit),
        path=account.flag_path,
        table=tables.flags,
        patience_before_s=patience_before_s,
    )
    made = writer.set(SWITCHES[provider], to, author)
    print(f"{made.flag}: {made.before or '(nothing)'} → {made.after}; in force everywhere within 5 s")
    return tell_failed(made.failed)
