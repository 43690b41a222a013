"""AWS Network Firewall's endpoints, which routes are made of; nothing is inspected.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-networkfirewall-firewall.html
"""

from __future__ import annotations

import hashlib
from typing import Any

from ministack.core.responses import get_account_id, get_region

from local.emulator.handlers import Properties, Provisioned, Update, handler
from local.emulator.service_calls import call


def _endpoint(subnet_id: str) -> str:
    """`zone:endpoint id`; the same subnet has the same endpoint in every deployment."""
    (subnet,) = call("ec2", "DescribeSubnets", SubnetIds=[subnet_id])["Subnets"]
    digest = hashlib.sha256(subnet_id.encode()).hexdigest()[:17]
    return f"{subnet['AvailabilityZone']}:vpce-{digest}"


def _provisioned(properties: Properties) -> Provisioned:
    """The endpoints come last zone first: AWS promises no order, and nobody may count on one."""
    name = properties["FirewallName"]
    arn = f"arn:aws:network-firewall:{get_region()}:{get_account_id()}:firewall/{name}"
    endpoints = [_endpoint(mapping["SubnetId"]) for mapping in properties["SubnetMappings"]]
    digest = hashlib.sha256(arn.encode()).hexdigest()
    firewall_id = "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:32]))
    return arn, {
        "FirewallArn": arn,
        "FirewallId": firewall_id,
        "EndpointIds": sorted(endpoints, reverse=True),
    }


def _create(_logical_id: str, properties: Properties, _stack_name: str) -> Provisioned:
    return _provisioned(properties)


def _delete(_physical_id: str, _properties: Properties) -> None:
    """Nothing was made."""


def _update(*arguments: Any) -> Provisioned:  # noqa: ANN401  (passed through)
    _physical_id, _old, new = arguments[:3]
    return _provisioned(new)


def handlers() -> dict[str, dict[str, Any]]:
    """Handlers by resource type."""
    update: Update = _update
    return {"AWS::NetworkFirewall::Firewall": handler(_create, _delete, update)}
