"""Connections of functions to PostgreSQL on Amazon RDS: TLS to Amazon's own roots, every wait bounded.

pg8000 comes with a layer, and only where the environment has a database; so it is loaded where it is used.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import boto3

RDS_ROOTS = Path(__file__).parents[1] / "gateway_image" / "gateway" / "control" / "rds_roots.pem"
"""The only authorities that a database's certificate may come from; the function's code carries the file."""

STATEMENT_S = 3
_WAIT_S = STATEMENT_S + 1
"""Longest wait for the network; a statement is given up by the server before."""


@dataclass(frozen=True, kw_only=True)
class DatabasePlace:
    """Which database, as whom, and the file with the roots that its certificate must come from."""

    host: str
    port: int
    name: str
    user: str
    roots: Path = RDS_ROOTS


class Cursor(Protocol):
    """What is used of a cursor of the DB API."""

    @property
    def rowcount(self) -> int:
        """Rows that the last statement wrote."""
        ...

    def execute(self, statement: str, parameters: tuple[object, ...] = ()) -> object:
        """Run one statement."""
        ...


class Connection(Protocol):
    """What is used of a connection of the DB API."""

    def cursor(self) -> Cursor:
        """A new cursor."""
        ...

    def commit(self) -> None:
        """Keep what was written."""
        ...

    def close(self) -> None:
        """End the connection; what is not kept is gone."""
        ...


def place_of(variables: Mapping[str, str]) -> DatabasePlace | None:
    """The database that `FLAG_DATABASE_*` name, None where the environment has none."""
    if not variables.get("FLAG_DATABASE_HOST"):
        return None
    return DatabasePlace(
        host=variables["FLAG_DATABASE_HOST"],
        port=int(variables["FLAG_DATABASE_PORT"]),
        name=variables["FLAG_DATABASE_NAME"],
        user=variables["FLAG_DATABASE_USER"],
        roots=Path(variables.get("FLAG_DATABASE_ROOTS") or RDS_ROOTS),
    )


def signed_password(place: DatabasePlace) -> str:
    """A password that the function's role signs; it opens connections for fifteen minutes."""
    client = boto3.client("rds")
    return str(client.generate_db_auth_token(DBHostname=place.host, Port=place.port, DBUsername=place.user))


def connect(place: DatabasePlace, password: str, *, statement_s: int = STATEMENT_S) -> Connection:
    """Connect.

    Raises:
        ssl.SSLError: the certificate is of another host, or from none of the roots.
        Exception: the driver's own, whatever else stood in the way; none knows the password.
    """
    from pg8000 import dbapi

    connection: Any = dbapi.connect(
        place.user,
        host=place.host,
        port=place.port,
        database=place.name,
        password=password,
        ssl_context=ssl.create_default_context(cafile=str(place.roots)),
        timeout=max(_WAIT_S, statement_s + 1),
        application_name="ai-orchestration-function",
        startup_params={"statement_timeout": str(statement_s * 1000)},
    )
    return cast("Connection", connection)


def reason_of(error: Exception) -> str:
    """What the server or the driver says of a failure, in one line."""
    said = error.args[0] if error.args else ""
    if isinstance(said, Mapping):
        # What a server says comes by the letters of its protocol: C is the code, M the message.
        return f"{said.get('M', 'an error')} ({said.get('C', 'no code')})"
    return f"{type(error).__name__}: {error}"
