"""DynamoDB tables with the key their templates encrypt them with, which the native handler drops."""

from __future__ import annotations

from typing import Any

from ministack.services.cloudformation import provisioners

from local.emulator.handlers import Properties, Provisioned, handler
from local.emulator.service_calls import call

_TYPE = "AWS::DynamoDB::GlobalTable"
_NATIVE = provisioners._RESOURCE_HANDLERS[_TYPE]


def _create(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    name, attributes = _NATIVE["create"](logical_id, properties, stack_name)
    _encrypt(name, properties)
    return name, attributes


def _update(
    physical_id: str, old: Properties, new: Properties, stack_name: str, logical_id: str
) -> Provisioned:
    given = (logical_id,) if _NATIVE.get("update_with_logical_id") else ()
    name, attributes = _NATIVE["update"](physical_id, old, new, stack_name, *given)
    _encrypt(name, new)
    return name, attributes


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
