"""What `flag_update` writes into the database: only what is newer, in one go, as a user who may no more."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import pytest

from lambdas.database_connection import RDS_ROOTS, DatabasePlace, connect, place_of
from lambdas.flag_row import FlagRow
from lambdas.flag_update import database as writer
from lambdas.flag_update.database import FlagDatabase, FlagDatabaseError, database_of
from local.ports import LOOPBACK
from tests.database.database import KEY, REGION, SECRET, Database


@pytest.fixture
def variables(migrated: Database, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    return {
        "FLAG_DATABASE_HOST": LOOPBACK,
        "FLAG_DATABASE_PORT": str(migrated.server.port),
        "FLAG_DATABASE_NAME": "flags",
        "FLAG_DATABASE_USER": "flag_writer",
        "FLAG_DATABASE_ROOTS": str(migrated.server.roots),
    }


@pytest.fixture
def tier(variables: Mapping[str, str]) -> FlagDatabase:
    found = database_of(variables)
    assert found is not None
    return found


def row(flag: str = "kill-switch.all", value: str = "on", at: int = 10) -> FlagRow:
    return FlagRow(flag=flag, value=value, changed_at_ms=at, changed_by="sre", why="it's 100 % \\ on; fire ü")


def table(database: Database) -> list[str]:
    return database.sql("SELECT flag, value, changed_at_ms FROM flags ORDER BY flag").splitlines()


def test_what_is_new_is_written_and_the_gateway_reads_it(migrated: Database, tier: FlagDatabase) -> None:
    assert tier.write([row(), row("rollout-stage", "shadow", 11)]) == ["kill-switch.all", "rollout-stage"]
    reader = migrated.reader()
    records = reader.read()
    reader.close()
    assert records["kill-switch.all"].value == "on"
    assert records["kill-switch.all"].why == "it's 100 % \\ on; fire ü"
    assert records["rollout-stage"].changed_at_ms == 11


@pytest.mark.parametrize("at", [9, 10])
def test_what_is_older_or_as_old_changes_nothing(migrated: Database, tier: FlagDatabase, at: int) -> None:
    tier.write([row(at=10)])
    assert tier.write([row(value="off", at=at)]) == []
    assert table(migrated) == ["kill-switch.all|on|10"]


def test_what_is_newer_takes_its_place(migrated: Database, tier: FlagDatabase) -> None:
    tier.write([row(at=10)])
    assert tier.write([row(value="off", at=11)]) == ["kill-switch.all"]
    assert table(migrated) == ["kill-switch.all|off|11"]


def test_a_row_from_the_future_does_not_win_for_ever(migrated: Database, tier: FlagDatabase) -> None:
    tier.write([row(at=10**15)])
    assert tier.write([row(value="off", at=11)]) == ["kill-switch.all"]
    assert table(migrated) == ["kill-switch.all|off|11"]


def test_the_newest_of_many_that_write_at_once_remains(migrated: Database, tier: FlagDatabase) -> None:
    writes = [threading.Thread(target=tier.write, args=([row(value=str(at), at=at)],)) for at in range(20)]
    for each in writes:
        each.start()
    for each in writes:
        each.join()
    assert table(migrated) == ["kill-switch.all|19|19"]


def test_all_is_written_or_nothing(migrated: Database, tier: FlagDatabase) -> None:
    too_much = row("rollout-stage", at=2**63)
    with pytest.raises(FlagDatabaseError, match="out of range"):
        tier.write([row(), too_much])
    assert table(migrated) == []


def test_the_writer_may_neither_delete_nor_change_the_schema(
    migrated: Database, variables: Mapping[str, str]
) -> None:
    for statement in (
        "DELETE FROM flags",
        "TRUNCATE flags",
        "DROP TABLE flags",
        "CREATE TABLE more (x text)",
    ):
        connection = connect(migrated.functions_place("flag_writer"), migrated.token("flag_writer"))
        with pytest.raises(Exception, match="42501"):
            connection.cursor().execute(statement)
        connection.close()
    assert variables


def test_a_password_that_iam_did_not_sign_opens_nothing(
    migrated: Database, tier: FlagDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "signed_password", lambda _place: "a-guess")
    with pytest.raises(FlagDatabaseError, match="authentication failed") as refused:
        tier.write([row()])
    assert "a-guess" not in str(refused.value)
    assert table(migrated) == []


def test_a_certificate_of_another_authority_is_refused(variables: Mapping[str, str]) -> None:
    tier = database_of({**variables, "FLAG_DATABASE_ROOTS": str(RDS_ROOTS)})
    assert tier is not None
    with pytest.raises(FlagDatabaseError, match="CERTIFICATE_VERIFY_FAILED"):
        tier.write([row()])


def test_a_certificate_of_another_host_is_refused(variables: Mapping[str, str]) -> None:
    tier = database_of({**variables, "FLAG_DATABASE_HOST": "localhost"})
    assert tier is not None
    with pytest.raises(FlagDatabaseError, match="CERTIFICATE_VERIFY_FAILED"):
        tier.write([row()])


def test_a_database_that_is_gone_is_named(migrated: Database, tier: FlagDatabase) -> None:
    migrated.server.stop()
    try:
        with pytest.raises(
            FlagDatabaseError, match=rf"flag database {LOOPBACK}:{migrated.server.port}/flags"
        ):
            tier.write([row()])
    finally:
        migrated.server.start()


def test_without_a_database_there_is_none() -> None:
    assert database_of({}) is None
    assert place_of({"FLAG_DATABASE_HOST": ""}) is None


def test_amazons_roots_are_trusted_where_nothing_else_is_said() -> None:
    place = place_of(
        {
            "FLAG_DATABASE_HOST": "db",
            "FLAG_DATABASE_PORT": "5433",
            "FLAG_DATABASE_NAME": "flags",
            "FLAG_DATABASE_USER": "flag_writer",
        }
    )
    assert place == DatabasePlace(host="db", port=5433, name="flags", user="flag_writer", roots=RDS_ROOTS)


def test_nothing_to_write_asks_nobody() -> None:
    def unexpected() -> None:
        raise AssertionError("connected")

    assert FlagDatabase("nowhere", unexpected).write([]) == ()  # type: ignore[arg-type]
