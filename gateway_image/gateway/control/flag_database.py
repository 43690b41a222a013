"""The third tier of flags: the table `flags` of a PostgreSQL database, read as its user `flag_reader`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from gateway.control.database_connection import DatabaseConnection, DatabaseLimits, DatabasePlace
from gateway.control.flag_tiers import FlagRecord

_SELECT = "SELECT flag, value, changed_at_ms, changed_by, why FROM public.flags"


class FlagDatabaseError(Exception):
    """The flags could not be read; the message says from where and why."""


class FlagDatabase:
    """Reads all flags over one connection that it keeps, and makes anew with a fresh password when it fails.

    Not for several threads at a time. `token` gives a password; it is asked once for each connection.
    """

    name = "database"

    def __init__(
        self,
        place: DatabasePlace,
        token: Callable[[], str],
        *,
        limits: DatabaseLimits | None = None,
    ) -> None:
        self._place = place
        self._token = token
        self._limits = limits or DatabaseLimits()
        self._connection: DatabaseConnection | None = None

    def read(self) -> Mapping[str, FlagRecord]:
        """Every flag of the table. Blocks for at most one query, one connection and one more query.

        Raises:
            FlagDatabaseError: the database did not answer in time, or not with flags.
        """
        try:
            return _records(self._rows())
        except Exception as error:
            self.close()
            where = f"{self._place.host}:{self._place.port}/{self._place.name}"
            raise FlagDatabaseError(f"flag database {where}: {_reason(error)}") from error

    def close(self) -> None:
        """Give the connection up; the next read makes another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _rows(self) -> Sequence[Sequence[object]]:
        if self._connection is not None:
            try:
                return self._connection.query(_SELECT)
            except TimeoutError:
                raise
            except Exception:
                # The server was restarted, or another one took over: what counts is whether it is there now.
                self.close()
        self._connection = DatabaseConnection(self._place, password=self._token, limits=self._limits)
        return self._connection.query(_SELECT)


def _records(rows: Sequence[Sequence[object]]) -> Mapping[str, FlagRecord]:
    return {
        str(flag): FlagRecord(
            value=str(value), changed_at_ms=int(str(changed_at_ms)), changed_by=str(changed_by), why=str(why)
        )
        for flag, value, changed_at_ms, changed_by, why in rows
    }


def _reason(error: Exception) -> str:
    """What the server or the driver says; neither knows the password."""
    said = error.args[0] if error.args else ""
    if isinstance(said, Mapping):
        # What a server says comes by the letters of its protocol: C is the code, M the message.
        return f"{said.get('M', 'an error')} ({said.get('C', 'no code')})"
    return f"{type(error).__name__}: {error}"
