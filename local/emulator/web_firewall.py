"""Which load balancer a web ACL guards, kept by the emulator's own WAF."""

from __future__ import annotations

from typing import Any

from local.emulator.handlers import Properties, Provisioned, handler
from local.emulator.service_calls import call


def _associate(_logical_id: str, properties: Properties, _stack_name: str) -> Provisioned:
    resource, acl = properties["ResourceArn"], properties["WebACLArn"]
    call("wafv2", "AssociateWebACL", ResourceArn=resource, WebACLArn=acl)
    return f"{resource}|{acl}", {}


def _disassociate(_physical_id: str, properties: Properties) -> None:
    call("wafv2", "DisassociateWebACL", ResourceArn=properties["ResourceArn"])


def handlers() -> dict[str, dict[str, Any]]:
    """Handlers by resource type."""
    return {"AWS::WAFv2::WebACLAssociation": handler(_associate, _disassociate)}
