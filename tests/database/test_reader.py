"""The gateway's third tier against a real PostgreSQL: as whom it reads, what it trusts, how long it waits."""

from __future__ import annotations

import gc
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gateway.control.database_connection import RDS_ROOTS, DatabaseLimits
from gateway.control.flag_database import FlagDatabase, FlagDatabaseError
from gateway.control.flag_tiers import FlagRecord
from tests.database.database import PATIENT, QUICK, Database

KILLED = FlagRecord("on", 5, "sre", "a fire")


@pytest.fixture
def database(migrated: Database) -> Database:
    migrated.sql("INSERT INTO flags VALUES ('kill-switch.all', 'on', 5, 'sre', 'a fire')")
    return migrated


@pytest.fixture
def reader(database: Database) -> Iterator[FlagDatabase]:
    tier = database.reader()
    yield tier
    tier.close()


def test_it_reads_every_flag_over_one_connection_it_keeps(database: Database, reader: FlagDatabase) -> None:
    assert reader.name == "database"
    assert reader.read() == {"kill-switch.all": KILLED}
    database.sql("INSERT INTO flags VALUES ('rollout-stage', 'shadow', 6, 'sre', '')")
    assert reader.read().keys() == {"kill-switch.all", "rollout-stage"}
    assert len(database.tokens) == 1
    (connected,) = database.sql(
        "SELECT usename || ' ' || ssl || ' ' || version FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) "
        "WHERE usename = 'flag_reader'"
    ).splitlines()
    assert connected == "flag_reader true TLSv1.3"


def test_a_password_that_iam_did_not_sign_opens_nothing(database: Database) -> None:
    for token in ("", "password", database.token("flag_writer"), database.token()[:-1] + "!"):
        with pytest.raises(FlagDatabaseError) as refused:
            FlagDatabase(database.place(), lambda given=token: given, limits=PATIENT).read()  # type: ignore[misc]
        assert "authentication failed" in str(refused.value) or token == ""
        assert token == "" or token not in str(refused.value)


def test_the_reader_may_change_nothing(database: Database) -> None:
    with pytest.raises(Exception, match=r"42501|25006"):
        _query(database, "DELETE FROM flags")
    with pytest.raises(Exception, match=r"42501|25006"):
        _query(database, "CREATE TABLE more (x text)")
    with pytest.raises(Exception, match="42501"):
        _query(database, "SELECT * FROM alembic_version")
    assert _query(database, "SHOW transaction_read_only") == [["on"]]


def _query(database: Database, statement: str, limits: DatabaseLimits = PATIENT) -> object:
    from gateway.control.database_connection import DatabaseConnection

    connection = DatabaseConnection(database.place(), password=database.token, limits=limits)
    try:
        return connection.query(statement)
    finally:
        connection.close()


def test_a_certificate_of_another_authority_is_refused(database: Database) -> None:
    with pytest.raises(FlagDatabaseError, match="CERTIFICATE_VERIFY_FAILED"):
        database.reader(roots=RDS_ROOTS).read()


def test_a_certificate_of_another_host_is_refused(database: Database) -> None:
    with pytest.raises(FlagDatabaseError, match=r"CERTIFICATE_VERIFY_FAILED.*localhost"):
        database.reader(host="localhost").read()


def test_it_speaks_to_nobody_who_refuses_tls(database: Database) -> None:
    with answering(b"N") as port, pytest.raises(FlagDatabaseError, match="Server refuses SSL"):
        database.reader(port=port).read()


def test_it_never_connects_in_plain_text(database: Database) -> None:
    """The server refuses it as well, as `rds.force_ssl` has it do."""
    from pg8000.native import Connection

    with pytest.raises(Exception, match="no encryption"):
        Connection("flag_reader", host="127.0.0.1", port=database.server.port, database="flags",
                   password=database.token(), ssl_context=False)  # fmt: skip


def test_a_crash_and_a_restart_cost_one_failed_read_each_at_most(
    database: Database, reader: FlagDatabase
) -> None:
    reader.read()
    database.server.stop(signal.SIGKILL)
    try:
        with pytest.raises(FlagDatabaseError, match=r"127\.0\.0\.1"):
            reader.read()
    finally:
        database.server.start()
    assert reader.read() == {"kill-switch.all": KILLED}
    assert len(database.tokens) == 2


def test_a_restart_between_two_reads_is_not_noticed(database: Database, reader: FlagDatabase) -> None:
    reader.read()
    database.server.stop()
    database.server.start()
    assert reader.read() == {"kill-switch.all": KILLED}
    assert len(database.tokens) == 2


# pg8000 leaves the socket of a connection that was never made to the collector; Python 3.13 tells of it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_database_that_hangs_is_given_up_in_time(database: Database) -> None:
    """The server takes connections and packets, and answers none: it is halted with all its processes."""
    reader = database.reader(DatabaseLimits(connect_s=10.0, statement_s=0.3))
    reader.read()
    with halted(database):
        started_s = time.monotonic()
        with pytest.raises(FlagDatabaseError, match=r"the query took longer than 0.3 s"):
            reader.read()
        assert time.monotonic() - started_s < 0.3 + 1
        reader = database.reader(QUICK)
        started_s = time.monotonic()
        with pytest.raises(FlagDatabaseError, match=r"connecting took longer than 0\.\d+ s"):
            reader.read()
        assert time.monotonic() - started_s < 0.5 + 1
    reader = database.reader()
    assert reader.read() == {"kill-switch.all": KILLED}
    reader.close()
    del reader
    gc.collect()


def test_one_that_keeps_sending_and_never_ends_is_given_up_in_time(database: Database) -> None:
    with answering(b"S", drip=b"\x16") as port:
        started_s = time.monotonic()
        with pytest.raises(FlagDatabaseError):
            database.reader(QUICK, port=port).read()
        assert time.monotonic() - started_s < 0.5 + 1


def test_a_slow_query_is_ended_by_the_server_as_well(database: Database) -> None:
    with pytest.raises(Exception, match=r"57014|took longer"):
        _query(database, "SELECT pg_sleep(5)", DatabaseLimits(connect_s=10.0, statement_s=0.3))
    time.sleep(0.2)
    assert database.sql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'") == "0\n"


def test_a_table_that_is_missing_is_a_failure_and_not_no_flags(
    database: Database, reader: FlagDatabase
) -> None:
    database.sql("DROP TABLE flags")
    with pytest.raises(FlagDatabaseError, match=r"does not exist \(42P01\)"):
        reader.read()
    connected = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'flag_reader'"
    deadline_s = time.monotonic() + 2
    while database.sql(connected) != "0\n" and time.monotonic() < deadline_s:
        time.sleep(0.02)
    assert database.sql(connected) == "0\n", "a connection that failed is given up"


def test_nothing_stays_open(database: Database) -> None:
    tier = database.reader()
    tier.read()
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0  # noqa: PTH112, PTH208
    for _ in range(3):
        tier.close()
        tier.read()
    with pytest.raises(FlagDatabaseError):
        database.reader(roots=RDS_ROOTS).read()
    after = len(os.listdir("/proc/self/fd")) if before else 0  # noqa: PTH208
    tier.close()
    assert after == before


@contextmanager
def halted(database: Database) -> Iterator[None]:
    import psutil

    main = psutil.Process(database.server.pid)
    processes = [main, *main.children()]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


@contextmanager
def answering(first: bytes, drip: bytes = b"") -> Iterator[int]:
    """Somebody who answers the wish for TLS with `first` and then goes on with `drip` for ever."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve() -> None:
        connection, _address = listener.accept()
        with connection:
            connection.recv(8)
            connection.sendall(first)
            try:
                while drip and not ended.wait(0.05):
                    connection.sendall(drip)
            except OSError:
                return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        ended.set()
        thread.join(2)
        listener.close()
