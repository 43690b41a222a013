"""Nothing can be reached from the internet, and nothing is open to other accounts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from stacks.house_rules.rule import Objection, Resource, Rule, Template

PUBLIC_ACCESS_BLOCKS = (
    "BlockPublicAcls",
    "BlockPublicPolicy",
    "IgnorePublicAcls",
    "RestrictPublicBuckets",
)

WHOLE_INTERNET = ("0.0.0.0/0", "::/0")

NARROWING = frozenset(
    {
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalorgid",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceorgid",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "kms:calleraccount",
    }
)
"""Condition keys that say whose request it must be."""

_ADDRESS_SWITCHES: Mapping[str, str] = {
    "AWS::EC2::Instance": "NetworkInterfaces[].AssociatePublicIpAddress",
    "AWS::EC2::Subnet": "MapPublicIpOnLaunch",
    "AWS::ECS::Service": "NetworkConfiguration.AwsvpcConfiguration.AssignPublicIp",
    "AWS::RDS::DBInstance": "PubliclyAccessible",
}


def _public_address(resource: Resource, template: Template) -> Iterator[Objection]:
    path = _ADDRESS_SWITCHES.get(resource.type)
    if path:
        for value in resource.at(path):
            if value in (True, "ENABLED"):
                yield Objection(where=path, value=value)
    if resource.type == "AWS::EC2::EIP":
        users = [
            gateway.logical_id
            for gateway in template.of_type("AWS::EC2::NatGateway")
            if resource.logical_id in json.dumps(gateway.at("AllocationId"))
        ]
        if not users:
            yield Objection(where="the NAT gateway that uses it", value=None)


def _public_load_balancer(resource: Resource, _template: Template) -> Iterator[Objection]:
    scheme = resource.properties.get("Scheme")
    if resource.type == "AWS::ElasticLoadBalancingV2::LoadBalancer" and scheme != "internal":
        yield Objection(where="Scheme", value=scheme)


def _open_ingress(resource: Resource, _template: Template) -> Iterator[Objection]:
    rules: list[tuple[str, Any]] = []
    if resource.type == "AWS::EC2::SecurityGroup":
        rules = [("SecurityGroupIngress.", rule) for rule in resource.at("SecurityGroupIngress[]") if rule]
    if resource.type == "AWS::EC2::SecurityGroupIngress":
        rules = [("", resource.properties)]
    for where, rule in rules:
        for name in ("CidrIp", "CidrIpv6"):
            if rule.get(name) in WHOLE_INTERNET:
                yield Objection(where=where + name, value=rule[name])


def _public_bucket(resource: Resource, _template: Template) -> Iterator[Objection]:
    if resource.type != "AWS::S3::Bucket":
        return
    for switch in PUBLIC_ACCESS_BLOCKS:
        path = f"PublicAccessBlockConfiguration.{switch}"
        (value,) = resource.at(path)
        if value is not True:
            yield Objection(where=path, value=value)
    if "WebsiteConfiguration" in resource.properties:
        yield Objection(where="WebsiteConfiguration", value="set")


def _bucket_without_tls(resource: Resource, template: Template) -> Iterator[Objection]:
    if resource.type != "AWS::S3::Bucket":
        return
    policies = [
        policy
        for policy in template.of_type("AWS::S3::BucketPolicy")
        if policy.properties.get("Bucket") == {"Ref": resource.logical_id}
    ]
    if not any(_denies_plain_http(statement) for policy in policies for statement in _statements(policy)):
        yield Objection(where="its policy's Deny where aws:SecureTransport is false", value=None)


def _denies_plain_http(statement: Mapping[str, Any]) -> bool:
    """Whether a statement refuses everybody everything over plain HTTP, on bucket and objects."""
    condition = statement.get("Condition", {}).get("Bool", {})
    return (
        statement.get("Effect") == "Deny"
        and _is_anybody(statement.get("Principal"))
        and statement.get("Action") in ("*", "s3:*")
        and str(condition.get("aws:SecureTransport")).lower() == "false"
    )


def _public_function(resource: Resource, _template: Template) -> Iterator[Objection]:
    if resource.type == "AWS::Lambda::Url":
        yield Objection(where="AuthType", value=resource.properties.get("AuthType"))
    if resource.type == "AWS::Lambda::Permission":
        principal = resource.properties.get("Principal")
        if principal == "*" and not resource.properties.keys() & {"SourceAccount", "PrincipalOrgID"}:
            yield Objection(where="Principal", value=principal)


def _open_policy(resource: Resource, _template: Template) -> Iterator[Objection]:
    # A VPC endpoint's policy grants nothing; it narrows what may pass.
    if resource.type == "AWS::EC2::VPCEndpoint":
        return
    for statement in _statements(resource):
        allows = statement.get("Effect") == "Allow"
        if allows and _is_anybody(statement.get("Principal")) and not _is_narrowed(statement):
            yield Objection(where=f"Principal of {statement.get('Sid', 'a statement')}", value="*")


def _statements(resource: Resource) -> Iterator[Mapping[str, Any]]:
    """Every policy statement with a principal, wherever the type keeps its policy."""
    pending: list[Any] = [resource.properties]
    while pending:
        value = pending.pop()
        if isinstance(value, Mapping):
            if "Effect" in value and "Principal" in value:
                yield value
            if list(value) == ["Fn::Join"]:
                pending.append(_parsed(_joined(value)))
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
        elif isinstance(value, str):
            pending.append(_parsed(value))


def _joined(value: Mapping[str, Any]) -> str:
    """Text that is put together of parts, with a word in the place of every reference."""
    separator, parts = value["Fn::Join"]
    return str(separator).join(part if isinstance(part, str) else "reference" for part in parts)


def _parsed(text: str) -> object:
    """A policy that is kept as text; nothing if the text is something else."""
    if not text.startswith("{"):
        return None
    try:
        document: object = json.loads(text)
    except ValueError:
        return None
    return document


def _is_anybody(principal: object) -> bool:
    accounts = principal.get("AWS") if isinstance(principal, Mapping) else principal
    return accounts == "*" or (isinstance(accounts, list) and "*" in accounts)


def _is_narrowed(statement: Mapping[str, Any]) -> bool:
    keys = {key.lower() for condition in statement.get("Condition", {}).values() for key in condition}
    return bool(keys & NARROWING)


RULES = (
    Rule(
        name="no-public-address",
        demand="only NAT gateways have a public address",
        remedy="Switch the public address off; traffic leaves through the NAT gateways.",
        judge=_public_address,
    ),
    Rule(
        name="internal-load-balancer",
        demand="a load balancer is reached from the VPC only",
        remedy="Set internet_facing=False.",
        judge=_public_load_balancer,
    ),
    Rule(
        name="no-open-ingress",
        demand="no security group lets the whole internet in",
        remedy="Name the VPC's range or the callers' security group.",
        judge=_open_ingress,
    ),
    Rule(
        name="no-public-bucket",
        demand="a bucket blocks public access in all four ways and serves no website",
        remedy="Set block_public_access=s3.BlockPublicAccess.BLOCK_ALL.",
        judge=_public_bucket,
    ),
    Rule(
        name="bucket-over-tls",
        demand="a bucket refuses plain HTTP",
        remedy="Set enforce_ssl=True.",
        judge=_bucket_without_tls,
    ),
    Rule(
        name="no-public-function",
        demand="a function has no URL and is not open to everybody",
        remedy="Drop the URL, or name the principal that may call the function.",
        judge=_public_function,
    ),
    Rule(
        name="no-open-policy",
        demand="no policy gives permissions to everybody",
        remedy="Name the principal, or add a condition such as aws:SourceAccount.",
        judge=_open_policy,
    ),
)
