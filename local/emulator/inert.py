"""Resource types the emulator takes without doing what AWS does: the one table of its limits.

`ACCEPTED` types have no service behind them at all: the deployment gets a physical id and
attributes of the right shape. `RECORDED` types can be described through their API, yet nothing acts
on the record. `make status` prints both. A type that is neither here nor handled stays refused.

This module imports nothing of the emulator, so that the command surface can read the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class AcceptedType:
    """A type that is accepted and does nothing.

    `reference` is what `Ref` yields, `attributes` what `Fn::GetAtt` yields. Both are templates:
    `{region}`, `{account}`, `{id}` (stable per logical resource) and `{name}` (its physical name)
    are filled in, and `{Property}` by the text of that template property.
    """

    missing: str
    reference: str
    attributes: Mapping[str, str] = field(default_factory=dict)


_SCALABLE_TARGET = "{ResourceId}|{ScalableDimension}|{ServiceNamespace}"
_SCALING_POLICY = (
    "arn:aws:autoscaling:{region}:{account}:scalingPolicy:{id}:resource/ecs/policyName/{PolicyName}"
)
_RULE_GROUP = "arn:aws:network-firewall:{region}:{account}:stateful-rulegroup/{RuleGroupName}"
_FIREWALL_POLICY = "arn:aws:network-firewall:{region}:{account}:firewall-policy/{FirewallPolicyName}"

ACCEPTED: Mapping[str, AcceptedType] = {
    "AWS::ApplicationAutoScaling::ScalableTarget": AcceptedType(
        "one task runs, whatever the load", _SCALABLE_TARGET, {"Id": _SCALABLE_TARGET}
    ),
    "AWS::ApplicationAutoScaling::ScalingPolicy": AcceptedType(
        "one task runs, whatever the load", _SCALING_POLICY, {"Arn": _SCALING_POLICY}
    ),
    "AWS::NetworkFirewall::RuleGroup": AcceptedType(
        "nothing is filtered", _RULE_GROUP, {"RuleGroupArn": _RULE_GROUP, "RuleGroupId": "{id}"}
    ),
    "AWS::NetworkFirewall::FirewallPolicy": AcceptedType(
        "nothing is filtered",
        _FIREWALL_POLICY,
        {"FirewallPolicyArn": _FIREWALL_POLICY, "FirewallPolicyId": "{id}"},
    ),
    "AWS::NetworkFirewall::LoggingConfiguration": AcceptedType("nothing is logged", "{FirewallArn}"),
    "AWS::WAFv2::LoggingConfiguration": AcceptedType("nothing is logged", "{ResourceArn}"),
    "AWS::Route53Resolver::FirewallDomainList": AcceptedType(
        "every name is answered", "rslvr-fdl-{id}", {"Id": "rslvr-fdl-{id}"}
    ),
    "AWS::Route53Resolver::FirewallRuleGroup": AcceptedType(
        "every name is answered", "rslvr-frg-{id}", {"Id": "rslvr-frg-{id}"}
    ),
    "AWS::Route53Resolver::FirewallRuleGroupAssociation": AcceptedType(
        "every name is answered", "rslvr-frgassoc-{id}", {"Id": "rslvr-frgassoc-{id}"}
    ),
    "AWS::Route53Resolver::ResolverQueryLoggingConfig": AcceptedType(
        "no query is logged", "rqlc-{id}", {"Id": "rqlc-{id}"}
    ),
    "AWS::Route53Resolver::ResolverQueryLoggingConfigAssociation": AcceptedType(
        "no query is logged", "rqlca-{id}", {"Id": "rqlca-{id}"}
    ),
}

RECORDED: Mapping[str, str] = {
    "AWS::WAFv2::WebACL": "its rules are kept, not applied: callers reach the task directly",
    "AWS::WAFv2::WebACLAssociation": "its rules are kept, not applied: callers reach the task directly",
    "AWS::CloudWatch::Alarm": "alarms over metric math are kept, not evaluated",
    "AWS::EC2::EIP": "no address is routed",
    "AWS::EC2::NatGateway": "no traffic passes it",
    "AWS::EC2::FlowLog": "no flow is logged",
    "AWS::EC2::VPC": "processes talk over loopback",
    "AWS::EC2::Subnet": "processes talk over loopback",
    "AWS::EC2::SecurityGroup": "rules are kept, not enforced",
    "AWS::EC2::SecurityGroupIngress": "rules are kept, not enforced",
    "AWS::EC2::SecurityGroupEgress": "rules are kept, not enforced",
    "AWS::EC2::VPCEndpoint": "endpoint policies are kept, not enforced",
    "AWS::NetworkFirewall::Firewall": "its endpoints are ids that lead nowhere",
    "AWS::ECS::Service": "one task runs; strategy, hooks, alarms and circuit breaker are kept, not acted on",
    "AWS::ElastiCache::ServerlessCache": "no cache engine runs",
    "AWS::ElasticLoadBalancingV2::LoadBalancer": "callers reach the task directly",
    "AWS::Bedrock::Guardrail": "its policies are kept, not applied",
    "AWS::Bedrock::GuardrailVersion": "its policies are kept, not applied",
    "AWS::RDS::DBInstance": "one server answers for all instances of a cluster; nobody takes over",
    "AWS::RDS::DBSubnetGroup": "processes talk over loopback",
    "AWS::SecretsManager::RotationSchedule": "its clock does not run: RotateSecret rotates",
}
