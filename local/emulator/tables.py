"""DynamoDB tables with what the native handler drops: the key that encrypts them, and their own policy."""

from __future__ import annotations

import json
from typing import Any

from ministack.core import iam_evaluator
from ministack.services import dynamodb
from ministack.services.cloudformation import provisioners

from local.emulator.handlers import Properties, Provisioned, handler
from local.emulator.service_calls import call

_TYPE = "AWS::DynamoDB::GlobalTable"
_NATIVE = provisioners._RESOURCE_HANDLERS[_TYPE]


def _create(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    name, attributes = _NATIVE["create"](logical_id, properties, stack_name)
    _complete(name, properties)
    return name, attributes


def _update(
    physical_id: str, old: Properties, new: Properties, stack_name: str, logical_id: str
) -> Provisioned:
    # The native handler would invent another name for a table whose template names none, and replace it.
    named = {"TableName": physical_id}
    given = (logical_id,) if _NATIVE.get("update_with_logical_id") else ()
    name, attributes = _NATIVE["update"](
        physical_id, named | dict(old), named | dict(new), stack_name, *given
    )
    _complete(name, new)
    return name, attributes


def _complete(name: str, properties: Properties) -> None:
    _encrypt(name, properties)
    policies = [
        replica["ResourcePolicy"]["PolicyDocument"]
        for replica in properties.get("Replicas", [])
        if "ResourcePolicy" in replica
    ]
    if policies:
        arn = call("dynamodb", "DescribeTable", TableName=name)["Table"]["TableArn"]
        call("dynamodb", "PutResourcePolicy", ResourceArn=arn, Policy=json.dumps(policies[0]))


def enforce_table_policies() -> None:
    """Have the policy of a table count, too, in what its callers may do."""

    def policy_and_owner(arn: str) -> tuple[str, str] | None:
        held = dynamodb._resource_policies.get(arn)
        return (held["Policy"], arn.split(":")[4]) if held else None

    dynamodb.table_policy_for_arn = policy_and_owner
    iam_evaluator._RESOURCE_POLICY_LOOKUPS["dynamodb"] = ("dynamodb", "table_policy_for_arn")


def _encrypt(name: str, properties: Properties) -> None:
    keys = [
        replica["SSESpecification"]["KMSMasterKeyId"]
        for replica in properties.get("Replicas", [])
        if "SSESpecification" in replica
    ]
    if keys:
        encryption = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": keys[0]}
        call("dynamodb", "UpdateTable", TableName=name, SSESpecification=encryption)


def handlers() -> dict[str, dict[str, Any]]:
    """Handlers by resource type."""
    return {_TYPE: handler(_create, _NATIVE["delete"], _update)}
