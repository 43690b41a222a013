"""Route sets from the command line: proposed, activated, rolled back; judged each time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from operations.environment import ENVIRONMENTS
from tests.operations.conftest import AUDIT, PATH, Staging

WHY = ("--why", "the weights were agreed")
NEW = "2026-12-01"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The declared route set under another version."""
    text = (ENVIRONMENTS / "route-sets" / "default.toml").read_text()
    changed = tmp_path / "proposed.toml"
    changed.write_text(text.replace('version = "2026-11-01"', f'version = "{NEW}"', 1))
    return changed


def propose(staging: Staging, file: Path) -> None:
    proposed = staging.run("route-set-propose", "staging", "--file", str(file), *WHY)
    assert proposed.status == 0, proposed.text


def activate(staging: Staging, version: str = NEW) -> tuple[int, str]:
    done = staging.run("route-set-activate", "staging", "--name", "default", "--version", version, *WHY)
    return done.status, done.text


def test_a_proposed_route_set_lies_in_the_library_and_changes_nothing(staging: Staging, file: Path) -> None:
    before = staging.in_force()
    propose(staging, file)
    assert staging.in_force() == before
    stored = staging.ssm.get_parameter(Name=f"{PATH}/route-sets/library/default/{NEW}")["Parameter"]["Value"]
    assert json.loads(stored)["version"] == NEW
    again = staging.run("route-set-propose", "staging", "--file", str(file), *WHY)
    assert (again.status, "was already in the library" in again.out) == (0, True)


def test_without_a_file_the_declared_route_set_is_proposed(staging: Staging) -> None:
    assert "default@2026-11-01 is in the library" in staging.run("route-set-propose", "staging", *WHY).out


def test_it_is_activated_and_rolled_back_with_a_record_of_each(staging: Staging, file: Path) -> None:
    propose(staging, file)
    assert activate(staging)[0] == 0
    assert staging.in_force()["version"] == NEW
    listed = staging.run("route-sets", "staging")
    assert listed.status == 0
    assert [line.split()[0] for line in listed.out.splitlines() if "@" in line] == [
        f"default@{NEW}",
        "default@2026-11-01",
    ]
    rolled = staging.run("route-set-rollback", "staging", *WHY)
    assert (rolled.status, f"default@{NEW} → default@2026-11-01" in rolled.out) == (0, True)
    assert staging.in_force()["version"] == "2026-11-01"
    actions = [
        each["action"]["S"]
        for each in staging.dynamodb.query(
            TableName=AUDIT,
            KeyConditionExpression="subject = :s",
            ExpressionAttributeValues={":s": {"S": "route-set"}},
        )["Items"]
    ]
    assert actions == ["propose", "activate", "rollback"]


def test_what_must_not_be_routed_to_is_proposed_with_a_note_and_not_activated(
    staging: Staging, file: Path
) -> None:
    text = file.read_text().replace(
        'sonnet-4-5", version = "2026-11-01"', 'sonnet-4-5", version = "2027-01-01"'
    )
    file.write_text(text)
    proposed = staging.run("route-set-propose", "staging", "--file", str(file), *WHY)
    assert (proposed.status, "note: it cannot be activated yet" in proposed.out) == (0, True)
    status, told = activate(staging)
    assert (status, "2027-01-01 is not registered" in told) == (1, True)
    assert staging.in_force()["version"] == "2026-11-01"


@pytest.mark.parametrize(
    ("text", "told"),
    [("name = ", "is no route set"), ('name = "x"', "missing required field"), (None, "No such file")],
)
def test_a_file_that_is_no_route_set_is_refused(
    staging: Staging, file: Path, text: str | None, told: str
) -> None:
    file.unlink() if text is None else file.write_text(text)
    refused = staging.run("route-set-propose", "staging", "--file", str(file), *WHY)
    assert (refused.status, told in refused.err, refused.err.count("\n")) == (1, True, 1)
    assert staging.dynamodb.scan(TableName=AUDIT)["Items"] == []


def test_what_was_never_proposed_cannot_be_activated(staging: Staging) -> None:
    status, told = activate(staging, "2030-01-01")
    assert (status, "no route set default@2030-01-01 is in the library" in told) == (1, True)


def test_a_route_set_in_force_that_names_what_is_gone_is_told(staging: Staging) -> None:
    changed = staging.in_force()
    changed["models"] = [{"key": "bedrock#gone", "version": "2026-11-01"}]
    staging.put_in_force(json.dumps(changed))
    listed = staging.run("route-sets", "staging")
    assert (listed.status, "bedrock#gone version 2026-11-01 is not registered" in listed.out) == (1, True)
