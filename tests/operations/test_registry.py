"""The registry's commands: what is declared, what is deployed, and the difference of the two."""

from __future__ import annotations

import datetime
import io
import shutil
from pathlib import Path

import msgspec
import pytest

from gateway.control.registry import Lifecycle, RegistryItem
from operations import declared, environment, registry
from operations.environment import ENVIRONMENTS
from stacks.settings import Environment
from tests.operations.conftest import AUDIT, REGISTRY, Staging

SONNET, HAIKU = "bedrock#claude-sonnet-4-5", "bedrock#claude-haiku-4-5"
VERSION = "2026-11-01"
WHY = ("--why", "agreed in the review")


def item(key: str = SONNET) -> RegistryItem:
    return declared.declared_models(ENVIRONMENTS).items[key, VERSION]


def changed(key: str, **changes: object) -> RegistryItem:
    return msgspec.structs.replace(item(key), **changes)


def take_away(staging: Staging, key: str) -> None:
    found = {"provider#model": {"S": key}, "version": {"S": VERSION}}
    staging.dynamodb.delete_item(TableName=REGISTRY, Key=found)


def deployed(staging: Staging) -> dict[str, str]:
    """Model → lifecycle."""
    items = staging.dynamodb.scan(TableName=REGISTRY)["Items"]
    return {each["provider#model"]["S"]: each["lifecycle"]["S"] for each in items}


# ---- declarations, offline -----------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the declarations, to break."""
    copied = tmp_path / "environments"
    shutil.copytree(ENVIRONMENTS, copied)
    monkeypatch.setattr(environment, "ENVIRONMENTS", copied)
    monkeypatch.setattr(registry, "ENVIRONMENTS", copied)
    return copied


def rewrite(file: Path, before: str, after: str) -> None:
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after, 1))


TODAY = datetime.date(2026, 11, 21)


def test_what_is_declared_has_no_mistakes(capsys: pytest.CaptureFixture[str]) -> None:
    assert registry.check_declarations(("local", "staging", "production"), TODAY) == 0
    assert "no mistakes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("file", "before", "after", "told"),
    [
        (
            "models/bedrock-claude-sonnet-4-5.toml",
            'family = "claude"',
            'family = "gpt"',
            "Invalid enum",
        ),
        (
            "models/bedrock-claude-sonnet-4-5.toml",
            "maximum_output_tokens = 64000",
            "maximum_output_tokens = 640000",
            "`maximum_output_tokens` 640000 exceeds",
        ),
        (
            "models/bedrock-claude-sonnet-4-5.toml",
            'lifecycle = "active"',
            'lifecycle = "retired"',
            f"{SONNET} version {VERSION} is retired",
        ),
        (
            "models/bedrock-claude-sonnet-4-5.toml",
            "eu_licence = true",
            "eu_licence = false",
            "is not licensed in the EU",
        ),
        (
            "route-sets/default.toml",
            f'"{SONNET}", version = "{VERSION}"',
            f'"{SONNET}", version = "2027-01-01"',
            f"{SONNET} version 2027-01-01 is not registered",
        ),
        (
            "route-sets/default.toml",
            'default_domain = "general"',
            'default_domain = "x"',
            "none of `domains`",
        ),
        ("models/bedrock-claude-haiku-4-5.toml", "claude-haiku-4-5", "claude-sonnet-4-5", "declared twice"),
    ],
)
def test_a_mistake_in_a_declaration_is_told_and_fails(
    folder: Path, capsys: pytest.CaptureFixture[str], file: str, before: str, after: str, told: str
) -> None:
    rewrite(folder / file, before, after)
    assert registry.check_declarations(("staging",), TODAY) == 1
    assert told in capsys.readouterr().out


@pytest.mark.parametrize(("days", "told"), [(180, False), (181, True)])
def test_a_price_that_was_looked_up_long_ago_is_a_reminder(
    capsys: pytest.CaptureFixture[str], days: int, told: bool
) -> None:
    looked_up = item().price.as_of
    assert registry.check_declarations(("staging",), looked_up + datetime.timedelta(days=days)) == 0
    assert (f"the price of {SONNET}" in capsys.readouterr().out) is told


# ---- declared and deployed -----------------------------------------------------------------------


def test_nothing_is_said_where_both_are_the_same(staging: Staging) -> None:
    checked = staging.run("registry-check", "staging")
    assert checked.status == 0, checked.text
    assert "staging: what is declared is deployed" in checked.out
    assert staging.run("registry-plan", "staging").out.startswith("nothing to write")


def test_a_changed_version_is_shown_field_by_field_and_nothing_is_written(staging: Staging) -> None:
    price = msgspec.structs.replace(item().price, input_micro_per_million_tokens=1)
    staging.put_item(changed(SONNET, price=price, expected_latency_ms=9))
    take_away(staging, HAIKU)
    for command in (("registry-check", "staging"), ("registry-plan", "staging")):
        shown = staging.run(*command)
        assert shown.status == 1
        rows = [line.split() for line in shown.out.splitlines() if line.startswith(SONNET)]
        assert rows == [
            [SONNET, VERSION, "expected_latency_ms", "2100", "9"],
            [SONNET, VERSION, "price.input_micro_per_million_tokens", "2838000", "1"],
        ]
    refused = staging.run("registry-apply", "staging", "--yes", *WHY)
    assert (refused.status, "declare the change as a new version" in refused.err) == (1, True)
    assert HAIKU not in deployed(staging)


def test_a_version_that_operators_moved_is_no_drift(staging: Staging) -> None:
    staging.put_item(changed(SONNET, lifecycle=Lifecycle.DEPRECATED))
    checked = staging.run("registry-check", "staging")
    assert checked.status == 0, checked.text
    assert ["lifecycle", "active", "deprecated"] in [line.split()[2:] for line in checked.out.splitlines()]


def test_absent_versions_are_drift_until_they_are_applied(staging: Staging) -> None:
    take_away(staging, HAIKU)
    checked = staging.run("registry-check", "staging")
    assert (checked.status, f"not deployed: {HAIKU} version {VERSION}" in checked.out) == (1, True)
    planned = staging.run("registry-plan", "staging")
    assert (planned.status, f"to write: {HAIKU} version {VERSION} as active" in planned.out) == (0, True)
    applied = staging.run("registry-apply", "staging", "--yes", *WHY)
    assert applied.status == 0, applied.text
    assert f"recorded: model#{HAIKU}#{VERSION} no. 1, hash " in applied.err
    assert deployed(staging)[HAIKU] == "active"
    assert staging.run("registry-check", "staging").status == 0
    (record,) = staging.dynamodb.scan(TableName=AUDIT)["Items"]
    assert (record["action"]["S"], record["how"]["S"], record["why"]["S"]) == ("propose", "command", WHY[1])
    assert ":sts::" in record["who"]["S"]
    again = staging.run("registry-apply", "staging", *WHY)
    assert (again.status, again.out.startswith("nothing to write")) == (0, True)


@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("n\n", 1), ("", 1)])
def test_apply_asks_first(
    staging: Staging, monkeypatch: pytest.MonkeyPatch, answer: str, status: int
) -> None:
    take_away(staging, HAIKU)
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    applied = staging.run("registry-apply", "staging", *WHY)
    assert (applied.status, "Write 1 version to the registry of staging? [y/N]" in applied.out) == (
        status,
        True,
    )
    assert (HAIKU in deployed(staging)) is (status == 0)


def test_what_was_registered_by_hand_is_told_and_no_drift(staging: Staging) -> None:
    staging.put_item(changed(SONNET, version="2026-12-01", lifecycle=Lifecycle.DRAFT))
    checked = staging.run("registry-check", "staging")
    assert (checked.status, f"note: {SONNET} version 2026-12-01 was registered by hand" in checked.out) == (
        0,
        True,
    )


def test_an_item_or_a_route_set_that_nobody_can_follow_fails_the_check(staging: Staging) -> None:
    odd = {"provider#model": {"S": "bedrock#odd"}, "version": {"S": "1"}}
    staging.dynamodb.put_item(TableName=REGISTRY, Item=odd)
    staging.put_in_force("{")
    checked = staging.run("registry-check", "staging")
    assert checked.status == 1
    assert "wrong: item bedrock#odd version 1" in checked.out
    assert "wrong: route set in force: it is no route set" in checked.out


# ---- models --------------------------------------------------------------------------------------


def test_every_version_has_a_line(staging: Staging) -> None:
    staging.put_item(changed(SONNET, version="2026-12-01", lifecycle=Lifecycle.DRAFT))
    rows = [line.split() for line in staging.run("models", "staging").out.splitlines()]
    shown = {(row[0], row[1]): row[2:] for row in rows}
    assert shown[SONNET, VERSION] == ["active", "yes", "200000", "2.838", "14.190", VERSION, "yes"]
    assert shown[SONNET, "2026-12-01"][:2] == ["draft", "no"]


def test_a_version_is_moved_from_draft_to_retired_step_by_step(staging: Staging) -> None:
    new = "2026-12-01"
    staging.put_item(changed(SONNET, version=new, lifecycle=Lifecycle.DRAFT))
    named = ("--model", SONNET, "--version", new, *WHY)
    told = [staging.run(action, "staging", *named).out for action in ("promote", "promote", "deprecate")]
    assert [line.partition(": ")[2].strip() for line in told] == [
        "draft → canary",
        "canary → active",
        "active → deprecated",
    ]
    assert "deprecated → active" in staging.run("reactivate", "staging", *named).out
    assert "active → retired" in staging.run("retire", "staging", *named).out
    ended = staging.run("promote", "staging", *named)
    assert (ended.status, "is retired, and there is no promote" in ended.err) == (1, True)
    shown = staging.run("audit", "staging", "--subject", f"model#{SONNET}#{new}")
    assert (shown.status, "5 records of 1 subjects: every chain holds" in shown.out) == (0, True)


def test_a_version_in_force_cannot_be_retired(staging: Staging) -> None:
    refused = staging.run("retire", "staging", "--model", SONNET, "--version", VERSION, *WHY)
    assert (refused.status, "the route set in force" in refused.err) == (1, True)
    assert deployed(staging)[SONNET] == "active"


@pytest.mark.parametrize(
    ("named", "told"),
    [
        (
            ("--model", "bedrock#nothing", "--version", VERSION, *WHY),
            "bedrock#nothing version 2026-11-01",
        ),
        (("--model", SONNET, "--version", VERSION, "--why", " "), "say it with WHY="),
        (("--model", SONNET, "--version", VERSION, "--why", "x" * 501), "`why` has 501 characters"),
    ],
)
def test_a_move_that_cannot_be_made_changes_nothing(
    staging: Staging, named: tuple[str, ...], told: str
) -> None:
    refused = staging.run("deprecate", "staging", *named)
    assert (refused.status, told in refused.err) == (1, True)
    assert set(deployed(staging).values()) == {"active"}
    assert staging.dynamodb.scan(TableName=AUDIT)["Items"] == []


def test_a_changed_version_alone_fails_the_check(staging: Staging) -> None:
    staging.put_item(changed(SONNET, expected_latency_ms=9))
    assert staging.run("registry-check", "staging").status == 1


def test_models_of_a_provider_that_is_not_enabled_are_left_out_of_the_route_set(
    settings_of_staging: Environment,
) -> None:
    google = settings_of_staging.providers.google.model_copy(update={"enabled": False})
    providers = settings_of_staging.providers.model_copy(update={"google": google})
    without = settings_of_staging.model_copy(update={"providers": providers})
    assert routed_providers(settings_of_staging) - routed_providers(without) == {"google"}


def routed_providers(settings: Environment) -> set[str]:
    route_set = declared.declared_route_set(ENVIRONMENTS, settings)
    return {each.key.split("#")[0] for each in route_set.models}
