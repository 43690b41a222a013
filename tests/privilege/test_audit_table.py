"""Audit records stay as they are, whatever a principal's own policy allows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.embedded_cloud import RunningCloud
from tests.privilege.clients import admin, as_role, outputs
from tests.privilege.mutations import deployed_roles

SUBJECT = "flag#of-the-test"
KEY = {"subject": {"S": SUBJECT}, "sequence": {"N": "1"}}
POLICY = "everything"


@pytest.fixture
def almighty(embedded_cloud: RunningCloud) -> Iterator[Any]:
    """A client of a role that its own policy lets do anything to any table."""
    (role,) = [one for one in deployed_roles(embedded_cloud) if one.holder == "GuardRole"]
    identities = admin(embedded_cloud, "iam")
    allowing = {"Effect": "Allow", "Action": ["dynamodb:*", "kms:*"], "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowing]})
    identities.put_role_policy(RoleName=role.name, PolicyName=POLICY, PolicyDocument=document)
    try:
        arn = identities.get_role(RoleName=role.name)["Role"]["Arn"]
        yield as_role(embedded_cloud.account, arn, "dynamodb")
    finally:
        identities.delete_role_policy(RoleName=role.name, PolicyName=POLICY)


def test_nobody_changes_or_removes_a_record(embedded_cloud: RunningCloud, almighty: Any) -> None:  # noqa: ANN401
    table = outputs(embedded_cloud, "model-registry")["AuditTableName"]
    almighty.put_item(TableName=table, Item={**KEY, "why": {"S": "as it was"}})
    changes: dict[str, dict[str, Any]] = {
        "update_item": {
            "Key": KEY,
            "UpdateExpression": "SET why = :why",
            "ExpressionAttributeValues": {":why": {"S": "rewritten"}},
        },
        "delete_item": {"Key": KEY},
        "update_time_to_live": {"TimeToLiveSpecification": {"Enabled": True, "AttributeName": "sequence"}},
    }
    for operation, arguments in changes.items():
        with pytest.raises(ClientError, match="explicit deny in a resource-based policy"):
            getattr(almighty, operation)(TableName=table, **arguments)
    with pytest.raises(ClientError, match="explicit deny in a resource-based policy"):
        almighty.transact_write_items(TransactItems=[{"Delete": {"TableName": table, "Key": KEY}}])
    with pytest.raises(ClientError, match="explicit deny in a resource-based policy"):
        almighty.batch_write_item(RequestItems={table: [{"DeleteRequest": {"Key": KEY}}]})
    assert almighty.get_item(TableName=table, Key=KEY)["Item"]["why"] == {"S": "as it was"}
