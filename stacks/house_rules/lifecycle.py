"""What is kept, for how long, and what a deploy must not touch."""

from __future__ import annotations

from collections.abc import Iterator

from stacks.house_rules.rule import Objection, Resource, Rule, Template

HOLDING_DATA = frozenset(
    {
        "AWS::DynamoDB::GlobalTable",
        "AWS::DynamoDB::Table",
        "AWS::KMS::Key",
        "AWS::Logs::LogGroup",
        "AWS::RDS::DBCluster",
        "AWS::SecretsManager::Secret",
    }
)
"""What outlives its stack exactly where the environment is protected."""

ALWAYS_KEPT = frozenset({"AWS::S3::Bucket"})
"""A bucket that is not empty cannot be deleted, and no function here may delete objects."""

_LOAD_BALANCER = "AWS::ElasticLoadBalancingV2::LoadBalancer"

PROTECTION_SWITCHES = {
    "AWS::DynamoDB::GlobalTable": ("Replicas[].DeletionProtectionEnabled",),
    "AWS::DynamoDB::Table": ("DeletionProtectionEnabled",),
    "AWS::NetworkFirewall::Firewall": (
        "DeleteProtection",
        "SubnetChangeProtection",
        "FirewallPolicyChangeProtection",
    ),
    "AWS::RDS::DBCluster": ("DeletionProtection",),
}
"""The switches that a protected environment has on, and another one off, by type."""

_TASK_COUNTS = {
    "AWS::AutoScaling::AutoScalingGroup": "DesiredCapacity",
    "AWS::ECS::Service": "DesiredCount",
}


def _endless_log(resource: Resource, _template: Template) -> Iterator[Objection]:
    days = resource.properties.get("RetentionInDays")
    if resource.type == "AWS::Logs::LogGroup" and not days:
        yield Objection(where="RetentionInDays", value=days)


def _log_of_its_own_making(resource: Resource, _template: Template) -> Iterator[Objection]:
    """A function without a log group gets one from AWS: without a key, and for ever."""
    if resource.type == "AWS::Lambda::Function":
        (group,) = resource.at("LoggingConfig.LogGroup")
        if not isinstance(group, dict):
            yield Objection(where="LoggingConfig.LogGroup", value=group)


def _desired_count(resource: Resource, _template: Template) -> Iterator[Objection]:
    where = _TASK_COUNTS.get(resource.type, "")
    if where in resource.properties:
        yield Objection(where=where, value=resource.properties[where])


def _wrong_end(resource: Resource, template: Template) -> Iterator[Objection]:
    if resource.type in ALWAYS_KEPT:
        expected = "Retain"
    elif resource.type in HOLDING_DATA:
        expected = "Retain" if template.expectations.protected else "Delete"
    else:
        return
    for where in ("DeletionPolicy", "UpdateReplacePolicy"):
        if resource.body.get(where) != expected:
            yield Objection(where=where, value=resource.body.get(where))


def _unprotected(resource: Resource, template: Template) -> Iterator[Objection]:
    protected = template.expectations.protected
    for path in PROTECTION_SWITCHES.get(resource.type, ()):
        for value in resource.at(path):
            if (value or False) is not protected:
                yield Objection(where=path, value=value)
    if resource.type == _LOAD_BALANCER:
        attributes = {
            entry["Key"]: entry["Value"] for entry in resource.at("LoadBalancerAttributes[]") if entry
        }
        value = attributes.get("deletion_protection.enabled")
        if (value == "true") is not protected:
            yield Objection(where="deletion_protection.enabled", value=value)


RULES = (
    Rule(
        name="log-retention",
        demand="a log is kept for a set time",
        remedy="Use EncryptedLogGroup with the settings' retention.",
        judge=_endless_log,
    ),
    Rule(
        name="own-log",
        demand="a function writes to a log group that is encrypted and forgets",
        remedy="Give the function an EncryptedLogGroup as its log_group.",
        judge=_log_of_its_own_making,
    ),
    Rule(
        name="no-desired-count",
        demand="scaling alone decides how many run: a deploy would reset what it has chosen",
        remedy="Leave the count out; the minimum is in [scaling].",
        judge=_desired_count,
    ),
    Rule(
        name="data-outlives-stack",
        demand="data is kept where deployment.stateful_protection is true and deleted where it is false",
        remedy="Pass the stack's removal_policy; buckets are always kept.",
        judge=_wrong_end,
    ),
    Rule(
        name="deletion-protection",
        demand="protection from deletion is on exactly where deployment.stateful_protection is true",
        remedy="Set the protection from deployment.stateful_protection.",
        judge=_unprotected,
    ),
)
