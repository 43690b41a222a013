"""The flag database in memory: SQLite runs the very statements of the writer and the reader."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

Around = Callable[[Callable[[], None]], None]

_SERVER_CLOCK_MS = "extract(epoch FROM clock_timestamp()) * 1000"


class MemoryDatabase:
    """One table `flags` in the schema `public`."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._database = sqlite3.connect(":memory:", isolation_level=None)
        self._database.execute("ATTACH ':memory:' AS public")
        self._database.execute(
            "CREATE TABLE public.flags (flag text PRIMARY KEY, value text NOT NULL, changed_at_ms bigint "
            "NOT NULL, changed_by text NOT NULL, why text NOT NULL)"
        )

    def rows(self) -> dict[str, tuple[str, int]]:
        """Flag name → value and moment."""
        found = self._database.execute("SELECT flag, value, changed_at_ms FROM public.flags").fetchall()
        return {flag: (value, changed_at_ms) for flag, value, changed_at_ms in found}

    def query(self, statement: str) -> Sequence[Sequence[object]]:
        return self._database.execute(statement).fetchall()

    def close(self) -> None:
        self._database.close()

    def connection(self, around: Around) -> WritingConnection:
        """A transaction of its own; its calls pass by `around`."""
        return WritingConnection(self._database, self._now_ms, around)


class WritingConnection:
    """A transaction of the writer; what is not committed is gone when it is closed."""

    def __init__(self, database: sqlite3.Connection, now_ms: Callable[[], int], around: Around) -> None:
        self._database = database
        self._now_ms = now_ms
        self._around = around
        self.rowcount = 0

    def cursor(self) -> WritingConnection:
        return self

    def execute(self, statement: str, parameters: tuple[object, ...] = ()) -> None:
        assert _SERVER_CLOCK_MS in statement
        sqlite_statement = statement.replace(_SERVER_CLOCK_MS, str(self._now_ms())).replace("%s", "?")
        if not self._database.in_transaction:
            self._database.execute("BEGIN")
        self.rowcount = self._database.execute(sqlite_statement, parameters).rowcount

    def commit(self) -> None:
        self._around(self._commit)

    def _commit(self) -> None:
        if self._database.in_transaction:
            self._database.execute("COMMIT")

    def close(self) -> None:
        if self._database.in_transaction:
            self._database.execute("ROLLBACK")
