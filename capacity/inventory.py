"""What an environment consists of, counted in its synthesised templates."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capacity.errors import CapacityError

ROOT = Path(__file__).parent.parent

Resource = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """What costs money by existing."""

    nat_gateways: int
    public_addresses: int
    firewall_endpoints: int
    dns_firewalls: int
    interface_endpoint_zones: int
    load_balancers: int
    web_acls: int
    web_acl_rules: int
    caches: int
    keys: int
    secrets: int
    alarm_metrics: int
    composite_alarms: int
    dashboards: int
    clusters_with_insights: int


def synthesise(environment: str, folder: Path) -> Inventory:
    """Synthesise an environment into `folder`, offline and without the slow validation, and count.

    Raises:
        CapacityError: where the synthesis fails.
    """
    context = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]
    variables = {
        **os.environ,
        "CDK_OUTDIR": str(folder),
        "CDK_VALIDATION": "false",
        "CDK_CONTEXT_JSON": json.dumps({**context, "environment": environment}),
    }
    finished = subprocess.run(
        [sys.executable, "app.py"], cwd=ROOT, env=variables, capture_output=True, text=True, check=False
    )
    if finished.returncode:
        raise CapacityError(
            f"environment {environment}",
            why="it could not be synthesised: " + (finished.stderr.strip() or "no output").splitlines()[-1],
            fix=f"make synth ENV={environment}",
        )
    return count(read_resources(folder))


def read_resources(folder: Path) -> Sequence[Resource]:
    """Every resource of the templates in `folder`."""
    return [
        resource
        for file in sorted(folder.glob("*.template.json"))
        for resource in json.loads(file.read_text(encoding="utf-8")).get("Resources", {}).values()
    ]


def count(resources: Sequence[Resource]) -> Inventory:
    """What is there of each kind."""

    def of(kind: str) -> Iterator[Mapping[str, Any]]:
        return (one.get("Properties", {}) for one in resources if one["Type"] == kind)

    def number(kind: str) -> int:
        return sum(1 for _ in of(kind))

    return Inventory(
        nat_gateways=number("AWS::EC2::NatGateway"),
        public_addresses=number("AWS::EC2::EIP"),
        firewall_endpoints=sum(len(one["SubnetMappings"]) for one in of("AWS::NetworkFirewall::Firewall")),
        dns_firewalls=number("AWS::Route53Resolver::FirewallRuleGroupAssociation"),
        interface_endpoint_zones=sum(
            len(one["SubnetIds"])
            for one in of("AWS::EC2::VPCEndpoint")
            if one.get("VpcEndpointType") == "Interface"
        ),
        load_balancers=number("AWS::ElasticLoadBalancingV2::LoadBalancer"),
        web_acls=number("AWS::WAFv2::WebACL"),
        web_acl_rules=sum(len(one.get("Rules", ())) for one in of("AWS::WAFv2::WebACL")),
        caches=number("AWS::ElastiCache::ServerlessCache"),
        keys=number("AWS::KMS::Key"),
        secrets=number("AWS::SecretsManager::Secret"),
        alarm_metrics=sum(_metrics_of(one) for one in of("AWS::CloudWatch::Alarm"))
        + sum(ALARMS_OF_A_TARGET for one in of("AWS::ApplicationAutoScaling::ScalingPolicy") if _tracks(one)),
        composite_alarms=number("AWS::CloudWatch::CompositeAlarm"),
        dashboards=number("AWS::CloudWatch::Dashboard"),
        clusters_with_insights=sum(
            "enhanced" in str(one.get("ClusterSettings")) for one in of("AWS::ECS::Cluster")
        ),
    )


ALARMS_OF_A_TARGET = 2
"""Target tracking creates one alarm for scaling out and one for scaling in."""


def _tracks(policy: Mapping[str, Any]) -> bool:
    return policy.get("PolicyType") == "TargetTrackingScaling"


def _metrics_of(alarm: Mapping[str, Any]) -> int:
    """An alarm is billed for each metric it looks at."""
    return max(1, sum("MetricStat" in one for one in alarm.get("Metrics", ())))
