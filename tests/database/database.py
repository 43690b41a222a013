"""A PostgreSQL that lets in as Amazon RDS does, and a key whose holder may sign passwords for it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

import boto3
import pytest

from gateway.control.database_connection import DatabaseLimits, DatabasePlace
from gateway.control.database_token import database_token
from gateway.control.flag_database import FlagDatabase
from lambdas.database_connection import DatabasePlace as FunctionsPlace
from lambdas.flag_database import handler
from local.database_tokens import TokenJudge
from local.ports import LOOPBACK, Ports
from local.postgresql import Master, PostgresqlServer, programs

REGION = "eu-central-1"
KEY, SECRET = "AKIAFLAGS", "a/secret+of=the-test"
MASTER = Master(database="flags", user="flag_master", password="it's %strange:@/")
SECRET_ARN = "arn:aws:secretsmanager:eu-central-1:000000000000:secret:rds!cluster-1"
QUICK = DatabaseLimits(connect_s=0.5, statement_s=0.3)
PATIENT = DatabaseLimits(connect_s=10.0, statement_s=10.0)
"""For what is not about time: the machine may be busy."""


def secret_of(key: str, _session_token: str | None) -> str | None:
    return SECRET if key == KEY else None


def needs_postgresql() -> None:
    """Without a server there is nothing to prove; continuous integration has one."""
    if programs() is None:
        why = "PostgreSQL is not installed; install it (Debian: apt-get install postgresql)"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)


@dataclass
class Database:
    """The running server and how to get in."""

    server: PostgresqlServer
    refusals: list[str]
    tokens: list[str] = field(default_factory=list)

    @classmethod
    def start(cls) -> Database:
        port = Ports.free().gateway
        refusals: list[str] = []
        judge = TokenJudge(host=LOOPBACK, port=port, region=REGION, secret_of=secret_of)
        server = PostgresqlServer(port=port, master=MASTER, objection=judge.objection, log=refusals.append)
        return cls(server, refusals)

    def place(self, user: str = "flag_reader", host: str = LOOPBACK) -> DatabasePlace:
        return DatabasePlace(host, self.server.port, MASTER.database, user, self.server.roots)

    def functions_place(self, user: str) -> FunctionsPlace:
        return FunctionsPlace(
            host=LOOPBACK, port=self.server.port, name=MASTER.database, user=user, roots=self.server.roots
        )

    def token(self, user: str = "flag_reader") -> str:
        credentials = boto3.Session(KEY, SECRET, region_name=REGION).get_credentials()
        assert credentials is not None
        token = database_token(
            credentials.get_frozen_credentials(),
            host=LOOPBACK,
            port=self.server.port,
            user=user,
            region=REGION,
        )
        self.tokens.append(token)
        return token

    def reader(self, limits: DatabaseLimits = PATIENT, **place: object) -> FlagDatabase:
        return FlagDatabase(replace_place(self.place(), place), self.token, limits=limits)

    def declaration(self) -> handler.Declaration:
        return handler.Declaration(
            host=LOOPBACK, port=self.server.port, name=MASTER.database, secret_arn=SECRET_ARN
        )

    def sql(self, statements: str) -> str:
        """What the superuser sees."""
        return self.server.execute(statements, MASTER.database)

    def empty(self) -> None:
        """As RDS hands it over."""
        self.sql(
            "DROP TABLE IF EXISTS flags, alembic_version, more; GRANT USAGE ON SCHEMA public TO PUBLIC; "
            "DROP OWNED BY flag_reader, flag_writer; DROP ROLE flag_reader, flag_writer"
            if "flag_reader" in self.sql("SELECT rolname FROM pg_roles")
            else "DROP TABLE IF EXISTS flags, alembic_version, more"
        )


def replace_place(place: DatabasePlace, changes: Mapping[str, object]) -> DatabasePlace:
    import msgspec

    return msgspec.structs.replace(place, **changes)


def master_secret(arn: str) -> str:
    assert arn == SECRET_ARN
    return json.dumps({"username": MASTER.user, "password": MASTER.password})
