"""One server for all tests of the database; each test finds the schema migrated and no flags in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lambdas.flag_database import handler
from tests.database.database import Database, master_secret, needs_postgresql


@pytest.fixture(scope="session")
def server() -> Iterator[Database]:
    needs_postgresql()
    database = Database.start()
    yield database
    database.server.remove()


@pytest.fixture
def empty(server: Database) -> Database:
    """A database as RDS hands it over."""
    server.empty()
    return server


@pytest.fixture
def migrated(empty: Database) -> Database:
    handler.deploy(empty.declaration(), master_secret, roots=empty.server.roots)
    empty.refusals.clear()
    empty.tokens.clear()
    return empty
