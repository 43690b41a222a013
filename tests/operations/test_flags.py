"""Flags and kill switches from the command line, also where stores are lost."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError

from gateway.control.flag_writer import FlagWriter
from tests.operations.conftest import AUDIT, FLAGS, Stacks, Staging

WHY = ("--why", "errors since 03:10")


def rows(text: str) -> dict[str, list[str]]:
    """Flag → the cells after its name."""
    return {line.split()[0]: line.split()[1:] for line in text.splitlines() if line}


def row_of(staging: Staging, flag: str) -> str | None:
    found = staging.dynamodb.get_item(TableName=FLAGS, Key={"flag": {"S": flag}}).get("Item")
    return None if found is None else found["value"]["S"]


def records(staging: Staging) -> list[tuple[str, str, str]]:
    items = staging.dynamodb.scan(TableName=AUDIT)["Items"]
    return [(each["subject"]["S"], each["action"]["S"], each["to"]["S"]) for each in items]


def test_every_flag_has_a_line_with_what_each_tier_says(staging: Staging) -> None:
    listed = staging.run("flags", "staging")
    assert listed.status == 0, listed.text
    assert rows(listed.out)["rollout.canary-share"][:4] == ["1", "parameter", "1", "-"]


@pytest.mark.parametrize("provider", ["all", "bedrock", "google", "llama"])
def test_a_kill_is_in_two_tiers_and_on_record_and_revived_again(staging: Staging, provider: str) -> None:
    flag = f"kill-switch.{provider}"
    killed = staging.run("kill", "staging", "--provider", provider, *WHY)
    assert (killed.status, f"{flag}: off → on" in killed.out) == (0, True), killed.text
    assert (staging.flag(flag), row_of(staging, flag)) == ("on", "on")
    shown = rows(staging.run("flags", "staging").out)[flag]
    assert shown[:4] == ["on", "parameter", "on", "on"] or shown[:4] == ["on", "table", "on", "on"]
    assert "errors since 03:10" in " ".join(shown)
    assert staging.run("revive", "staging", "--provider", provider, *WHY).status == 0
    assert (staging.flag(flag), row_of(staging, flag)) == ("off", "off")
    assert records(staging) == [(f"flag#{flag}", "kill", "on"), (f"flag#{flag}", "revive", "off")]


def test_a_kill_works_without_cloudformation_and_says_what_it_did_not_reach(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hangs(_self: Stacks, **_: object) -> object:
        raise ReadTimeoutError(endpoint_url="https://cloudformation.eu-central-1.amazonaws.com")

    monkeypatch.setattr(Stacks, "describe_stacks", hangs)
    killed = staging.run("kill", "staging", "--provider", "google", *WHY)
    assert staging.flag("kill-switch.google") == "on"
    assert killed.status == 1, killed.text
    assert "wrong: Parameter Store alone is written" in killed.out
    assert "wrong: table did not take it" in killed.out
    assert "wrong: audit did not take it" in killed.out


def test_a_kill_works_without_sts_under_the_name_of_the_machines_user(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.operations import conftest

    def hangs() -> object:
        raise ConnectTimeoutError(endpoint_url="https://sts.eu-central-1.amazonaws.com")

    monkeypatch.setattr(conftest._client("sts"), "get_caller_identity", hangs)
    assert staging.run("kill", "staging", "--provider", "all", *WHY).status == 0
    (record,) = staging.dynamodb.scan(TableName=AUDIT)["Items"]
    assert "(not confirmed by STS)" in record["who"]["S"]
    refused = staging.run("flag", "staging", "--flag", "rollout-stage", "--value", "shadow", *WHY)
    assert (refused.status, "does not answer" in refused.err) == (3, True)


@pytest.mark.parametrize(
    ("flag", "value", "told"),
    [
        ("rollout-stage", "active", "goes up one step at a time"),
        ("rollout-stage", "everyone", "none of off, shadow, canary, active"),
        ("rollout.canary-share", "6", "above 5"),
        ("rollout.colour", "blue", "no flag"),
    ],
)
def test_a_value_or_a_step_that_is_not_allowed_changes_nothing(
    staging: Staging, flag: str, value: str, told: str
) -> None:
    refused = staging.run("flag", "staging", "--flag", flag, "--value", value, *WHY)
    assert (refused.status, told in refused.err, refused.err.count("\n")) == (1, True, 1), refused.err
    assert records(staging) == []
    assert staging.flag("rollout-stage") == "off"


def test_a_flag_is_changed_step_by_step_and_canary_takes_evidence(staging: Staging) -> None:
    stage = ("flag", "staging", "--flag", "rollout-stage", *WHY, "--value")
    assert "rollout-stage: off → shadow" in staging.run(*stage, "shadow").out
    refused = staging.run(*stage, "canary")
    assert (refused.status, "0 decisions were made in shadow, it takes 1000" in refused.err) == (1, True)
    assert staging.flag("rollout-stage") == "shadow"


def test_an_unreadable_flag_and_a_lost_tier_are_told(staging: Staging) -> None:
    staging.put_flag("kill-switch.llama", "perhaps")
    listed = staging.run("flags", "staging")
    assert listed.status == 1
    assert "wrong: flag kill-switch.llama is 'perhaps', which is neither on nor off" in listed.out
    assert rows(listed.out)["kill-switch.llama"][:2] == ["on", "parameter"]
    staging.put_flag("kill-switch.llama", "off")
    staging.dynamodb.delete_table(TableName=FLAGS)
    lost = staging.run("flags", "staging")
    assert (lost.status, "wrong: tier table: Scan failed" in lost.out) == (1, True)
    assert rows(lost.out)["kill-switch.llama"][:2] == ["off", "parameter"]


def test_a_store_that_denies_is_one_line(staging: Staging, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> object:
        told = {"Code": "AccessDeniedException", "Message": "not authorized to perform ssm:PutParameter"}
        raise ClientError({"Error": told}, "PutParameter")  # type: ignore[typeddict-item]

    monkeypatch.setattr(FlagWriter, "set", denied)
    refused = staging.run("flag", "staging", "--flag", "rollout-stage", "--value", "shadow", *WHY)
    assert refused.status == 3
    assert refused.err == (
        "PutParameter is denied: not authorized to perform ssm:PutParameter; "
        "use a role that may, or have the permission added to yours\n"
    )


def test_a_kill_works_where_an_older_deployment_names_no_table(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stacks, "OUTPUTS", {"model-registry": {}, "feature-flags": {}})
    killed = staging.run("kill", "staging", "--provider", "google", *WHY)
    assert (killed.status, staging.flag("kill-switch.google")) == (1, "on"), killed.text
    assert "wrong: table did not take it" in killed.out


def test_where_nothing_is_deployed_nothing_is_said_to_be_stopped(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stacks, "OUTPUTS", {})
    killed = staging.run("kill", "staging", "--provider", "google", *WHY)
    assert (killed.status, "is not deployed" in killed.err) == (3, True)
    assert staging.flag("kill-switch.google") == "off"
