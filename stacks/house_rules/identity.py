"""Everything says whose it is, and takes its name from AWS unless a contract gives it one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from stacks.house_rules.rule import Objection, Resource, Rule, Template

WITHOUT_TAGS = frozenset(
    {
        "AWS::ApplicationAutoScaling::ScalingPolicy",
        "AWS::Bedrock::GuardrailVersion",
        "AWS::CDK::Metadata",
        "AWS::CloudFormation::CustomResource",
        "AWS::EC2::Route",
        "AWS::EC2::SecurityGroupEgress",
        "AWS::EC2::SecurityGroupIngress",
        "AWS::EC2::SubnetRouteTableAssociation",
        "AWS::EC2::VPCGatewayAttachment",
        "AWS::IAM::ManagedPolicy",
        "AWS::IAM::Policy",
        "AWS::Lambda::EventInvokeConfig",
        "AWS::Lambda::LayerVersion",
        "AWS::Lambda::Permission",
        "AWS::Lambda::Url",
        "AWS::Logs::ResourcePolicy",
        "AWS::NetworkFirewall::LoggingConfiguration",
        "AWS::Route53Resolver::ResolverQueryLoggingConfigAssociation",
        "AWS::S3::BucketPolicy",
        "AWS::SNS::Subscription",
        "AWS::SNS::TopicPolicy",
        "AWS::SecretsManager::ResourcePolicy",
        "AWS::SecretsManager::RotationSchedule",
        "AWS::WAFv2::LoggingConfiguration",
        "AWS::WAFv2::WebACLAssociation",
    }
)
"""Types that CloudFormation cannot tag."""

WITH_A_DEMANDED_NAME = frozenset(
    {
        "AWS::Bedrock::Guardrail",
        "AWS::ElastiCache::ServerlessCache",
        "AWS::ElastiCache::User",
        "AWS::NetworkFirewall::Firewall",
        "AWS::NetworkFirewall::FirewallPolicy",
        "AWS::NetworkFirewall::RuleGroup",
    }
)
"""Types that AWS does not name; theirs begins with the prefix of the environment's stacks."""

WITHOUT_A_NAME = frozenset({"AWS::EC2::SecurityGroupIngress", "AWS::IAM::Policy"})
"""Types that only name something else, or something within their role."""

CONTRACT_NAMES = (
    ("AWS::DynamoDB::GlobalTable", r"ai_model_registry"),
    ("AWS::Logs::LogGroup", r"aws-waf-logs-{prefix}"),
    ("AWS::CloudWatch::Alarm", r"{prefix}-[A-Za-z]+"),
)
"""Fixed names that docs/contracts.md lists, as patterns; `{prefix}` and `{name}` are the environment's."""


def _tags_of(resource: Resource) -> dict[str, Any]:
    """Tags in whichever of CloudFormation's shapes a type has them."""
    found = resource.properties.get("Tags")
    if resource.type == "AWS::DynamoDB::GlobalTable":
        found = resource.at("Replicas[].Tags")[0]
    if isinstance(found, dict):
        return found
    return {tag["Key"]: tag["Value"] for tag in found or []}


def _untagged(resource: Resource, template: Template) -> Iterator[Objection]:
    if resource.type in WITHOUT_TAGS or resource.type.startswith("Custom::"):
        return
    found = _tags_of(resource)
    for name, value in template.expectations.tags.items():
        if found.get(name) != value:
            yield Objection(where=f"the tag {name}", value=found.get(name))


def name_properties(type_name: str) -> tuple[str, ...]:
    """The properties that may hold a resource's own name; the second half is what most types call it."""
    last = type_name.rpartition("::")[2]
    return ("Name", f"{last}Name", "GroupName", "TableName")


def _fixed_name(resource: Resource, template: Template) -> Iterator[Objection]:
    if resource.type in WITHOUT_A_NAME:
        return
    for where in name_properties(resource.type):
        name = resource.properties.get(where)
        if isinstance(name, str) and not _may_be_called(name, resource.type, template):
            yield Objection(where=where, value=name)


def _may_be_called(name: str, type_name: str, template: Template) -> bool:
    expectations = template.expectations
    if type_name in WITH_A_DEMANDED_NAME:
        return name.startswith(expectations.prefix)
    patterns = [pattern for owner, pattern in CONTRACT_NAMES if owner == type_name]
    return any(
        re.fullmatch(pattern.format(prefix=expectations.prefix, name=expectations.name), name)
        for pattern in patterns
    )


RULES = (
    Rule(
        name="tagged",
        demand="everything carries the environment's tags owner, service, environment and cost-centre",
        remedy="Leave tagging to stacks.application.build; list a type that has no tags in WITHOUT_TAGS.",
        judge=_untagged,
    ),
    Rule(
        name="named-by-aws",
        demand="only the names of docs/contracts.md are fixed: others forbid to replace or deploy twice",
        remedy="Leave the name out, or write the contract into docs/contracts.md and CONTRACT_NAMES.",
        judge=_fixed_name,
    ),
)
