"""The audit from the command line: every record is shown, and a chain that was tampered with is found."""

from __future__ import annotations

from tests.operations.conftest import AUDIT, Staging

WHY = ("--why", "exercise")
SWITCH = "flag#kill-switch.google"


def switched(staging: Staging) -> None:
    for command in ("kill", "revive", "kill"):
        assert staging.run(command, "staging", "--provider", "google", *WHY).status == 0
    assert staging.run("flag", "staging", "--flag", "rollout-stage", "--value", "shadow", *WHY).status == 0


def test_all_records_are_shown_and_every_chain_holds(staging: Staging) -> None:
    switched(staging)
    shown = staging.run("audit", "staging")
    assert (shown.status, "4 records of 2 subjects: every chain holds" in shown.out) == (0, True)
    assert sum(line.startswith(SWITCH) for line in shown.out.splitlines()) == 3
    one = staging.run("audit", "staging", "--subject", "flag#rollout-stage")
    assert (one.status, "1 records of 1 subjects" in one.out, SWITCH in one.out) == (0, True, False)


def test_an_altered_record_is_found(staging: Staging) -> None:
    switched(staging)
    staging.dynamodb.update_item(
        TableName=AUDIT,
        Key={"subject": {"S": SWITCH}, "sequence": {"N": "2"}},
        UpdateExpression="SET why = :why",
        ExpressionAttributeValues={":why": {"S": "nothing happened"}},
    )
    shown = staging.run("audit", "staging")
    assert shown.status == 1
    assert f"wrong: record 2 of {SWITCH} was altered" in shown.out


def test_a_removed_record_is_found(staging: Staging) -> None:
    switched(staging)
    key = {"subject": {"S": SWITCH}, "sequence": {"N": "2"}}
    staging.dynamodb.delete_item(TableName=AUDIT, Key=key)
    shown = staging.run("audit", "staging")
    assert (shown.status, f"record 3 of {SWITCH} follows 1" in shown.out) == (1, True)
