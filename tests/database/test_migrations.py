"""The schema of the flag database: who may do what, again and again, all or nothing, and for good."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from lambdas.custom_resource import RefusedError
from lambdas.database_connection import connect
from lambdas.flag_database import handler
from lambdas.flag_database.migration import MIGRATIONS, Outcome, migrate
from tests.database.database import MASTER, SECRET_ARN, Database, master_secret

DEPLOYED = {
    "0001_flags.py": "72b952826e7ce91e7ab749e82c357c05283178650f9740904705bfa82d8ab5f0",
}
"""SHA-256 of every migration. What is deployed somewhere never changes: write another one."""

SECOND = """
from alembic import op
revision = "0002"
down_revision = "0001"
def upgrade():
    op.execute("CREATE TABLE public.more (x text)")
"""
BROKEN = (
    SECOND
    + """    op.execute("ALTER TABLE public.flags DROP COLUMN why")
    op.execute("ALTER TABLE public.nothing ADD COLUMN x text")
"""
)


def deploy(database: Database, migrations: Path = MIGRATIONS) -> None:
    handler.deploy(
        database.declaration(),
        master_secret,
        roots=database.server.roots,
        migrations=migrations,
        patience_s=0,
    )


def tables(database: Database) -> set[str]:
    return set(database.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").split())


def columns(database: Database) -> list[str]:
    return database.sql(
        "SELECT column_name || ' ' || data_type || ' ' || is_nullable FROM information_schema.columns "
        "WHERE table_name = 'flags' ORDER BY ordinal_position"
    ).splitlines()


def with_another(folder: Path, text: str) -> Path:
    migrations = Path(shutil.copytree(MIGRATIONS, folder / "migrations"))
    (migrations / "versions" / "0002_more.py").write_text(text)
    return migrations


def test_a_deployed_migration_never_changes() -> None:
    files = (MIGRATIONS / "versions").glob("*.py")
    assert {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files} == DEPLOYED


def test_the_table_is_the_one_of_the_contract(migrated: Database) -> None:
    assert tables(migrated) == {"flags", "alembic_version"}
    assert columns(migrated) == [
        "flag text NO",
        "value text NO",
        "changed_at_ms bigint NO",
        "changed_by text NO",
        "why text NO",
    ]
    constraint = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'flags'::regclass"
    assert migrated.sql(constraint) == "PRIMARY KEY (flag)\n"


def test_reader_and_writer_may_do_what_they_are_for_and_connect_by_iam(migrated: Database) -> None:
    granted = migrated.sql(
        "SELECT grantee || ' ' || string_agg(privilege_type, ',' ORDER BY privilege_type) "
        "FROM information_schema.table_privileges WHERE table_schema = 'public' AND grantee LIKE 'flag_%' "
        "AND grantee <> 'flag_master' GROUP BY grantee ORDER BY grantee"
    ).splitlines()
    assert granted == ["flag_reader SELECT", "flag_writer INSERT,SELECT,UPDATE"]
    of_iam = "SELECT rolname FROM pg_roles WHERE pg_has_role(rolname, 'rds_iam', 'member') AND NOT rolsuper"
    assert set(migrated.sql(of_iam).split()) == {"rds_iam", "flag_reader", "flag_writer"}
    powers = "SELECT count(*) FROM pg_roles WHERE rolname IN ('flag_reader', 'flag_writer') AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolpassword <> '********')"  # noqa: E501
    assert migrated.sql(powers) == "0\n"


def test_nobody_else_gets_into_the_database(migrated: Database) -> None:
    admitted = (
        "SELECT rolname FROM pg_roles WHERE has_database_privilege(rolname, 'flags', 'connect') "
        "AND rolcanlogin AND NOT rolsuper"
    )
    migrated.sql("DROP ROLE IF EXISTS somebody; CREATE ROLE somebody LOGIN")
    assert set(migrated.sql(admitted).split()) == {"flag_master", "flag_reader", "flag_writer"}
    migrated.sql("DROP ROLE somebody")


def test_a_second_run_changes_nothing(migrated: Database) -> None:
    migrated.sql("INSERT INTO flags VALUES ('a', 'on', 1, '', '')")
    deploy(migrated)
    assert migrated.sql("SELECT flag FROM flags") == "a\n"


def test_roles_that_are_there_already_are_taken_over(empty: Database) -> None:
    """Roles belong to the server: a database that was restored or made anew finds them."""
    deploy(empty)
    empty.sql("DROP TABLE flags, alembic_version")
    deploy(empty)
    assert tables(empty) == {"flags", "alembic_version"}


def test_runs_at_the_same_time_wait_for_each_other(empty: Database) -> None:
    outcomes: list[Outcome | Exception] = []

    def run() -> None:
        try:
            place = empty.functions_place(MASTER.user)
            outcomes.append(migrate(lambda: connect(place, MASTER.password)))
        except Exception as error:
            outcomes.append(error)

    runs = [threading.Thread(target=run) for _ in range(4)]
    for each in runs:
        each.start()
    for each in runs:
        each.join()
    assert sorted(map(str, outcomes)) == sorted(
        map(str, [Outcome("", "0001"), *[Outcome("0001", "0001")] * 3])
    )


def test_what_is_new_runs_and_keeps_the_data(migrated: Database, tmp_path: Path) -> None:
    migrated.sql("INSERT INTO flags VALUES ('a', 'on', 1, '', '')")
    deploy(migrated, with_another(tmp_path, SECOND))
    assert tables(migrated) == {"flags", "alembic_version", "more"}
    assert migrated.sql("SELECT flag FROM flags") == "a\n"


def test_a_failed_migration_says_why_and_leaves_the_schema_as_before(
    migrated: Database, tmp_path: Path
) -> None:
    before = columns(migrated)
    with pytest.raises(RefusedError, match=r'relation "public.nothing" does not exist \(42P01\)'):
        deploy(migrated, with_another(tmp_path, BROKEN))
    assert tables(migrated) == {"flags", "alembic_version"}
    assert columns(migrated) == before
    assert migrated.sql("SELECT version_num FROM alembic_version") == "0001\n"
    deploy(migrated)


def test_a_first_migration_that_fails_leaves_nothing(empty: Database, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="does not exist"):
        deploy(empty, with_another(tmp_path, BROKEN))
    assert tables(empty) == set()
    assert "flag_reader" not in empty.sql("SELECT rolname FROM pg_roles")


def test_a_rolled_back_deployment_leaves_a_later_schema_alone(
    migrated: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deploy(migrated, with_another(tmp_path, SECOND))
    deploy(migrated)
    assert "more" in tables(migrated)
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["ahead"] is True


def event(database: Database, **properties: object) -> dict[str, Any]:
    given = {
        "Host": "127.0.0.1",
        "Port": str(database.server.port),
        "Database": MASTER.database,
        "SecretArn": SECRET_ARN,
    }
    return {
        "RequestType": "Create",
        "ResponseURL": "https://answer",
        "LogicalResourceId": "Migrated",
        "ResourceProperties": {**given, **properties},
    }


def answer(
    event: dict[str, Any], monkeypatch: pytest.MonkeyPatch, secret: str | None = None
) -> dict[str, Any]:
    sent: list[bytes] = []
    monkeypatch.setattr(handler, "PATIENCE_S", 0)
    monkeypatch.setattr(handler, "_read_secret", lambda arn: secret or master_secret(arn))
    monkeypatch.setattr(handler.run, "__defaults__", (handler._read_secret,))
    monkeypatch.setattr(handler.deploy, "__kwdefaults__", {"migrations": MIGRATIONS, "patience_s": 0})
    handler.handler(event, None, send=lambda _url, body: sent.append(body))
    (body,) = sent
    response: dict[str, Any] = json.loads(body)
    return response


def test_cloudformation_hears_of_success(empty: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAG_DATABASE_ROOTS", str(empty.server.roots))
    assert answer(event(empty), monkeypatch)["Status"] == "SUCCESS"
    assert "flags" in tables(empty)


def test_deleting_the_resource_leaves_the_database_alone(
    migrated: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert answer({**event(migrated), "RequestType": "Delete"}, monkeypatch)["Status"] == "SUCCESS"
    assert "flags" in tables(migrated)


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"Host": None}, "Host is None; give it as text."),
        ({"Port": "0"}, "Port is '0'; give a number from 1 to 65535."),
        ({"Port": "54x"}, "Port is '54x'; give a number from 1 to 65535."),
        ({"SecretArn": ""}, "SecretArn is ''; give it as text."),
    ],
)
def test_bad_input_is_refused_with_the_field(
    migrated: Database, monkeypatch: pytest.MonkeyPatch, properties: dict[str, object], reason: str
) -> None:
    response = answer(event(migrated, **properties), monkeypatch)
    assert (response["Status"], response["Reason"]) == ("FAILED", reason)


def test_no_secret_is_logged_or_answered(
    migrated: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLAG_DATABASE_ROOTS", str(migrated.server.roots))
    wrong = json.dumps({"username": MASTER.user, "password": "not-the-password"})
    for secret in (wrong, '{"password": "not-the-password"}', "not-the-password"):
        response = answer(event(migrated), monkeypatch, secret)
        assert response["Status"] == "FAILED"
        assert "lets nobody in" in response["Reason"]
        assert "not-the-password" not in json.dumps(response) + capsys.readouterr().out


def test_somebody_who_is_not_the_database_gets_no_password(
    migrated: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the variable the function trusts Amazon's roots alone."""
    monkeypatch.delenv("FLAG_DATABASE_ROOTS", raising=False)
    response = answer(event(migrated), monkeypatch)
    assert "CERTIFICATE_VERIFY_FAILED" in response["Reason"]
