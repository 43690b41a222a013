"""The third tier of flags as `flag_update` writes it: never with something older than it holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from lambdas.database_connection import Connection, connect, place_of, reason_of, signed_password
from lambdas.flag_row import FUTURE_MS, FlagRow

# Not as a condition in a statement of its own: two that write at once would both see the older row. What
# stands in the future by the server's clock is not believed, as in the table: it would win for ever.
_UPSERT = """
INSERT INTO public.flags (flag, value, changed_at_ms, changed_by, why) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (flag) DO UPDATE
   SET value = excluded.value, changed_at_ms = excluded.changed_at_ms,
       changed_by = excluded.changed_by, why = excluded.why
 WHERE excluded.changed_at_ms > flags.changed_at_ms
    OR flags.changed_at_ms > extract(epoch FROM clock_timestamp()) * 1000 + %s
"""


class FlagDatabaseError(Exception):
    """Nothing was written; the message says from where and why."""


class FlagDatabase:
    """Writes rows over a connection of its own, in one transaction."""

    def __init__(self, where: str, open_connection: Callable[[], Connection]) -> None:
        self._where = where
        self._open_connection = open_connection

    def write(self, rows: Sequence[FlagRow]) -> Sequence[str]:
        """Put what is newer than the table's; names of the flags that were.

        Raises:
            FlagDatabaseError: the database did not answer in time or refused; none of `rows` is there.
        """
        if not rows:
            return ()
        try:
            connection = self._open_connection()
            try:
                written = [row.flag for row in rows if _put(connection, row)]
                connection.commit()
            finally:
                connection.close()
        except Exception as error:
            raise FlagDatabaseError(f"flag database {self._where}: {reason_of(error)}") from error
        return written


def database_of(variables: Mapping[str, str]) -> FlagDatabase | None:
    """The database that the function's variables name, None where the environment has none."""
    place = place_of(variables)
    if place is None:
        return None
    return FlagDatabase(
        f"{place.host}:{place.port}/{place.name}", lambda: connect(place, signed_password(place))
    )


def _put(connection: Connection, row: FlagRow) -> bool:
    cursor = connection.cursor()
    cursor.execute(_UPSERT, (row.flag, row.value, row.changed_at_ms, row.changed_by, row.why, FUTURE_MS))
    return cursor.rowcount == 1
