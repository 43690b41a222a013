"""Brings the schema of the flag database up to date, in one transaction or not at all.

The files in `migrations/versions` are Alembic's and are never changed once they are deployed, nor taken back:
what runs already must get along with the schema that comes next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lambdas.database_connection import Connection

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"

_LOCK = 7_301_905_226_614_031
"""Drawn once. Whoever migrates holds the advisory lock of this number until the transaction ends."""

_LOCK_PATIENCE_S = 60


@dataclass(frozen=True)
class Outcome:
    """Revisions before and after; empty where there is no schema. `ahead`: the database knows a later one."""

    before: str
    after: str
    ahead: bool = False


def migrate(open_connection: Callable[[], Connection], migrations: Path = MIGRATIONS) -> Outcome:
    """Run what has not run yet. A second run at the same time waits for the first, and finds nothing to do.

    A schema that is ahead of `migrations` is left alone: a deployment is being rolled back.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: a migration failed; the schema is as before.
    """
    from alembic import command
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from sqlalchemy import create_engine, pool, text

    config = _config(migrations)
    known = ScriptDirectory.from_config(config)
    engine = create_engine(
        "postgresql+pg8000://", creator=open_connection, poolclass=pool.NullPool, hide_parameters=True
    )
    with engine.begin() as connection:
        connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_PATIENCE_S}s'"))
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        before = MigrationContext.configure(connection).get_current_revision() or ""
        if before and before not in {script.revision for script in known.walk_revisions()}:
            return Outcome(before, before, ahead=True)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        return Outcome(before, known.get_current_head() or "")


def _config(migrations: Path) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
