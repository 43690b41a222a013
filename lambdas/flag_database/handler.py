"""Custom resource that brings the schema of the flag database up to date with every deploy.

CloudFormation sends `{"Host": …, "Port": …, "Database": …, "SecretArn": …, "Migrations": "<digest of the
files>"}`. The secret is the one that RDS keeps for the master user, `{"username", "password"}`. RDS rotates
it, so it is read anew for each attempt to connect. A migration that fails fails the deploy and
leaves the schema as before. Deleting the resource leaves the database alone.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import boto3

from lambdas.custom_resource import CustomResource, Event, RefusedError, Send, log, send
from lambdas.database_connection import RDS_ROOTS, Connection, DatabasePlace, connect, reason_of
from lambdas.flag_database.migration import MIGRATIONS, migrate

RESOURCE = CustomResource(
    name="flag-database",
    done="The schema is up to date.",
    failed="The schema could not be brought up to date",
)

PATIENCE_S = 60.0
"""How long a database that has just been made may take to let somebody in."""

_PAUSE_S = 2.0
_MIGRATION_S = 60
"""Longest time of one statement of a migration, waiting for the one before included."""


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """Which database, and the secret of its master user."""

    host: str
    port: int
    name: str
    secret_arn: str


ReadSecret = Callable[[str], str]


def parse(properties: object) -> Declaration:
    """The properties of the resource.

    Raises:
        RefusedError: naming the property that is missing or wrong.
    """
    given = properties if isinstance(properties, Mapping) else {}
    values = {name: given.get(name) for name in ("Host", "Port", "Database", "SecretArn")}
    for name, value in values.items():
        if not isinstance(value, str) or not value:
            raise RefusedError(f"{name} is {value!r}; give it as text.")
    port = str(values["Port"])
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise RefusedError(f"Port is {port!r}; give a number from 1 to 65535.")
    return Declaration(
        host=str(values["Host"]),
        port=int(port),
        name=str(values["Database"]),
        secret_arn=str(values["SecretArn"]),
    )


def deploy(
    declaration: Declaration,
    read_secret: ReadSecret,
    *,
    roots: Path,
    migrations: Path = MIGRATIONS,
    patience_s: float = PATIENCE_S,
) -> None:
    """Migrate as the master user.

    Raises:
        RefusedError: why the schema is as before.
    """

    def open_connection() -> Connection:
        return _connect(declaration, read_secret, roots=roots, patience_s=patience_s)

    try:
        outcome = migrate(open_connection, migrations)
    except RefusedError:
        raise
    except Exception as error:
        cause = getattr(error, "orig", None)
        reason = reason_of(cause if isinstance(cause, Exception) else error)
        raise RefusedError(
            f"A migration of the flag database failed, and the schema is as before: {reason}. "
            "Correct the migration that is new in lambdas/flag_database/migrations/versions."
        ) from error
    log("flag database migrated", before=outcome.before, after=outcome.after, ahead=outcome.ahead)


def _connect(
    declaration: Declaration, read_secret: ReadSecret, *, roots: Path, patience_s: float
) -> Connection:
    deadline = time.monotonic() + patience_s
    while True:
        try:
            master = json.loads(read_secret(declaration.secret_arn))
            place = DatabasePlace(
                host=declaration.host,
                port=declaration.port,
                name=declaration.name,
                user=master["username"],
                roots=roots,
            )
            return connect(place, master["password"], statement_s=_MIGRATION_S)
        except Exception as error:
            reason = reason_of(error)
            log("flag database not reached", host=declaration.host, reason=reason)
            if time.monotonic() + _PAUSE_S > deadline:
                raise RefusedError(
                    f"The flag database at {declaration.host}:{declaration.port} lets nobody in: {reason}. "
                    "Look at the security groups and at the state of the cluster, then deploy again."
                ) from error
        time.sleep(_PAUSE_S)


def _read_secret(arn: str) -> str:
    return str(boto3.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"])


def run(event: Event, read_secret: ReadSecret = _read_secret) -> str | None:
    """Do what the event asks; the reason it failed, or None."""

    def work() -> None:
        if event.get("RequestType") != "Delete":
            roots = Path(os.environ.get("FLAG_DATABASE_ROOTS") or RDS_ROOTS)
            deploy(parse(event.get("ResourceProperties")), read_secret, roots=roots)

    return RESOURCE.failure(work)


def handler(event: Event, context: object, *, send: Send = send) -> None:  # noqa: ARG001
    """Run one CloudFormation custom resource event and answer its response URL."""
    RESOURCE.answer(event, run(event), send)
