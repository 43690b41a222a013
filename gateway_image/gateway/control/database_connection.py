"""Connections to PostgreSQL on Amazon RDS: TLS to Amazon's own roots, and a bound on all they take."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import msgspec

RDS_ROOTS = Path(__file__).with_name("rds_roots.pem")
"""The only authorities that a database's certificate may come from; the machine's own are not asked."""


class DatabasePlace(msgspec.Struct, frozen=True):
    """Which database, as whom, and the file with the roots that its certificate must come from."""

    host: str
    port: int
    name: str
    user: str
    roots: Path = RDS_ROOTS


class DatabaseLimits(msgspec.Struct, frozen=True):
    """Seconds for making a connection (TLS and authentication included) and for one statement."""

    connect_s: float = 1.0
    statement_s: float = 1.5


class _Driver(Protocol):
    """What is used of pg8000's connection."""

    def run(self, statement: str) -> Sequence[Sequence[object]] | None: ...
    def close(self) -> None: ...


class DatabaseConnection:
    """One open connection. Every failure but a timeout is the driver's own exception."""

    def __init__(self, place: DatabasePlace, *, password: Callable[[], str], limits: DatabaseLimits) -> None:
        """Connect.

        Raises:
            TimeoutError: it took longer than `limits.connect_s`.
            ssl.SSLError: the certificate is of another host, or from none of the roots.
            OSError, Exception: whatever else stood in the way.
        """
        # Loaded where it is used: most deployments have no database, and none needs it to start.
        from pg8000.native import Connection

        context = ssl.create_default_context(cafile=str(place.roots))
        self._statement_s = limits.statement_s
        started_s = time.monotonic()
        plain = socket.create_connection((place.host, place.port), limits.connect_s)
        plain.settimeout(None)
        self._cable = plain.dup()
        left_s = max(limits.connect_s - (time.monotonic() - started_s), 0.001)
        try:
            with self._within(left_s, "connecting"):
                self._driver: _Driver = Connection(
                    place.user,
                    host=place.host,
                    database=place.name,
                    password=password(),
                    ssl_context=context,
                    sock=plain,
                    application_name="ai-orchestration-gateway",
                    startup_params={
                        "statement_timeout": str(round(limits.statement_s * 1000)),
                        "default_transaction_read_only": "on",
                    },
                )
        except BaseException:
            plain.close()
            self._cable.close()
            raise

    def query(self, statement: str) -> Sequence[Sequence[object]]:
        """The rows of one statement.

        Raises:
            TimeoutError: they did not come within `limits.statement_s`.
        """
        with self._within(self._statement_s, "the query"):
            return self._driver.run(statement) or ()

    def close(self) -> None:
        """Cut the connection; says no goodbye, which a database that hangs would not hear."""
        self._cut()
        with suppress(Exception):
            self._driver.close()
        self._cable.close()

    @contextmanager
    def _within(self, seconds: float, what: str) -> Iterator[None]:
        """Cut the connection after `seconds`, however often the other end sends a byte until then."""
        cut = threading.Event()

        def cut_now() -> None:
            cut.set()
            self._cut()

        timer = threading.Timer(seconds, cut_now)
        timer.daemon = True
        timer.start()
        try:
            yield
        except Exception as error:
            if cut.is_set() or isinstance(error, TimeoutError):
                raise TimeoutError(f"{what} took longer than {seconds:g} s") from error
            raise
        finally:
            timer.cancel()

    def _cut(self) -> None:
        """Hear nothing more. What is said still goes out, so that nothing is left to say at the end."""
        with suppress(OSError):
            self._cable.shutdown(socket.SHUT_RD)
