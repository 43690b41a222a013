"""The kill switches: the one command that must work when stores do not.

What it needs is looked up with short patience, and what is not found is left out: Parameter Store alone is
enough to kill, and its names are known without asking.
"""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError

from gateway.control.audit import AuditTable
from gateway.control.flag_declaration import Switch
from gateway.control.flag_declarations import KILL_SWITCH_ALL, KILL_SWITCHES
from gateway.control.flag_writer import FlagWriter
from operations.environment import Account
from operations.errors import explained
from operations.flags import tell_failed
from operations.stores import FLAGS, REGISTRY, operator

ALL = "all"
SWITCHES = {ALL: KILL_SWITCH_ALL, **{str(provider): flag for provider, flag in KILL_SWITCHES.items()}}
"""What an operator names → the flag that stops it."""

NOT_LOOKED_UP = "name-not-looked-up"


def kill(account: Account, provider: str, why: str) -> int:
    """Stop a provider, or everything; 1 where it is in force but a store did not take it."""
    return _switch(account, provider, Switch.ON, why)


def revive(account: Account, provider: str, why: str) -> int:
    """Let a provider, or everything, be called again."""
    return _switch(account, provider, Switch.OFF, why)


def _switch(account: Account, provider: str, to: Switch, why: str) -> int:
    author = operator(account, why)
    audit_table, flag_table = _tables(account)
    writer = FlagWriter(
        account.ssm,
        account.dynamodb,
        AuditTable(account.dynamodb, audit_table),
        path=account.flag_path,
        table=flag_table,
    )
    made = writer.set(SWITCHES[provider], to, author)
    print(f"{made.flag}: {made.before or '(nothing)'} → {made.after}; in force everywhere within 5 s")
    return tell_failed(made.failed)


def _tables(account: Account) -> tuple[str, str]:
    """The tables of the records and of the flags; names of none where CloudFormation does not tell them.

    Raises:
        OperationError: nothing is deployed that could be stopped.
    """
    try:
        audit = account.outputs(REGISTRY).get("AuditTableName", NOT_LOOKED_UP)
        return audit, account.outputs(FLAGS).get("FlagTableName", NOT_LOOKED_UP)
    except (BotoCoreError, ClientError) as error:
        print(f"wrong: Parameter Store alone is written: {explained(error, account.name)}")
        return NOT_LOOKED_UP, NOT_LOOKED_UP
