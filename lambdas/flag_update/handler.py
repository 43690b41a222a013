"""Keeps the tiers of flags in agreement: valid changes go on to the next tiers, others are taken back.

EventBridge calls it with every change in Parameter Store below the path of the flags, and a schedule with
`{"reconcile": true}` every five minutes. Whatever calls it, it looks at all flags in all tiers and does what
is to be done; see `docs/contracts.md`, Flags.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Protocol, cast

from lambdas import audit_record
from lambdas.audit_record import AuditTrail
from lambdas.bounded_client import open_client
from lambdas.flag_measurement import measure
from lambdas.flag_update import table as flag_table
from lambdas.flag_update.declaration import load_declarations
from lambdas.flag_update.event import objection
from lambdas.flag_update.parameters import FlagParameters, Ssm
from lambdas.flag_update.reconciliation import Reconciliation, log
from lambdas.flag_update.table import TableContent, read_table

DATABASE_HOST = "FLAG_DATABASE_HOST"


class Context(Protocol):
    """The part of Lambda's context that is used."""

    @property
    def invoked_function_arn(self) -> str:
        """Who acts, for the records."""
        ...


def handler(event: object, context: Context) -> None:
    """Settle all flags, where `event` is a reason to look.

    Raises:
        Exception: parameters or table could not be read, so nothing was done; Lambda calls again.
    """
    reason = objection(event, os.environ["FLAG_PARAMETERS"])
    if reason is not None:
        log("event refused", reason=reason)
        return
    reconcile(os.environ, context.invoked_function_arn, now_ms=time.time_ns() // 1_000_000)


def reconcile(variables: Mapping[str, str], author: str, *, now_ms: int) -> None:
    """Look at every flag in every tier and settle it; `author` stands in what the function records itself."""
    dynamodb = open_client("dynamodb")
    parameters = FlagParameters(cast("Ssm", open_client("ssm")), variables["FLAG_PARAMETERS"])
    declarations = load_declarations()

    def table_content() -> TableContent:
        return read_table(cast("flag_table.Table", dynamodb), variables["FLAG_TABLE"])

    reconciliation = Reconciliation(
        parameters=parameters,
        read_table=table_content,
        trail=AuditTrail(cast("audit_record.Table", dynamodb), variables["AUDIT_TABLE"]),
        table=variables["FLAG_TABLE"],
        author=author,
        now_ms=now_ms,
    )
    try:
        texts = parameters.texts()
        reconciliation.run(declarations, texts, table_content())
        _write_database(variables, reconciliation)
    except Exception as error:
        reconciliation.failed("all flags", error)
        raise
    finally:
        measure(variables["ENVIRONMENT"], reconciliation.counts, now_ms)


def _write_database(variables: Mapping[str, str], reconciliation: Reconciliation) -> None:
    """Bring the third tier to what the second holds, where there is one; it takes only what is newer."""
    if not variables.get(DATABASE_HOST):
        return
    # Its driver is a layer that is there only where the environment has a database.
    from lambdas.flag_update.database import database_of

    try:
        database = database_of(variables)
        if database is not None:
            database.write(list(reconciliation.rows.values()))
    except Exception as error:
        reconciliation.failed("the database", error)
