"""The table of audit records: what is in it stays as it is."""

from __future__ import annotations

from tests.stacks.synthesis import Properties, Synthesis

STACK = "ModelRegistry"


def audit_table(synthesis: Synthesis) -> Properties:
    (found,) = (
        resource.properties
        for resource in synthesis.resources("AWS::DynamoDB::GlobalTable", STACK)
        if {"AttributeName": "subject", "KeyType": "HASH"} in resource.properties["KeySchema"]
    )
    return found


def test_its_keys_are_those_of_the_contract(every_environment: Synthesis) -> None:
    table = audit_table(every_environment)
    assert table["KeySchema"] == [
        {"AttributeName": "subject", "KeyType": "HASH"},
        {"AttributeName": "sequence", "KeyType": "RANGE"},
    ]
    assert {one["AttributeName"]: one["AttributeType"] for one in table["AttributeDefinitions"]} == {
        "subject": "S",
        "sequence": "N",
    }


def test_nobody_may_change_or_remove_a_record_or_have_it_expire(every_environment: Synthesis) -> None:
    (replica,) = audit_table(every_environment)["Replicas"]
    (statement,) = replica["ResourcePolicy"]["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Principal"]) == ("Deny", {"AWS": "*"})
    assert "Condition" not in statement
    assert set(statement["Action"]) == {
        "dynamodb:BatchWriteItem",
        "dynamodb:DeleteItem",
        "dynamodb:PartiQLDelete",
        "dynamodb:PartiQLInsert",
        "dynamodb:PartiQLUpdate",
        "dynamodb:UpdateItem",
        "dynamodb:UpdateTimeToLive",
    }


def test_it_is_encrypted_and_can_be_restored_and_does_not_go_with_its_stack(production: Synthesis) -> None:
    table = audit_table(production)
    (replica,) = table["Replicas"]
    assert replica["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
    assert replica["DeletionProtectionEnabled"] is True
    assert "TableKey" in str(replica["SSESpecification"]["KMSMasterKeyId"])
    assert "TimeToLiveSpecification" not in table


def test_operators_find_it_in_the_outputs(every_environment: Synthesis) -> None:
    assert "AuditTableName" in every_environment.templates[STACK]["Outputs"]
