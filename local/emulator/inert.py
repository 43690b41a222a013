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

ACCEPTED: Mapping[str, AcceptedType] = {
    "AWS::ApplicationAutoScaling::ScalableTarget": AcceptedType(
        "one task runs, whatever the load", _SCALABLE_TARGET, {"Id": _SCALABLE_TARGET}
    ),
    "AWS::ApplicationAutoScaling::ScalingPolicy": AcceptedType(
        "one task runs, whatever the load", _SCALING_POLICY, {"Arn": _SCALING_POLICY}
    ),
}

RECORDED: Mapping[str, str] = {
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
    "AWS::ElastiCache::ServerlessCache": "no cache engine runs",
    "AWS::ElasticLoadBalancingV2::LoadBalancer": "callers reach the task directly",
    "AWS::Bedrock::Guardrail": "its policies are kept, not applied",
    "AWS::Bedrock::GuardrailVersion": "its policies are kept, not applied",
    "AWS::SecretsManager::RotationSchedule": "nothing rotates by itself",
}
