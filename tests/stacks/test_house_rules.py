"""Each house rule objects to what breaks it, and to nothing else; the rules know every type in use."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_sqs as sqs
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER  # type: ignore[import-untyped]

from stacks.house_rules.encryption import HOLDING_NO_DATA, KEY_PROPERTIES
from stacks.house_rules.identity import (
    WITH_A_DEMANDED_NAME,
    WITHOUT_A_NAME,
    WITHOUT_TAGS,
    name_properties,
)
from stacks.house_rules.plugin import RULES, HouseRules, expectations_of, violations
from stacks.house_rules.rule import Expectations, Violation
from tests.stacks.synthesis import ENVIRONMENT_NAMES, ROOT, Synthesis, load_environment, new_app

Body = dict[str, Any]

TAGS = {"owner": "team", "service": "gateway", "environment": "testing", "cost-centre": "42"}
TAG_LIST = [{"Key": key, "Value": value} for key, value in TAGS.items()]
PROTECTED = Expectations(name="testing", prefix="gateway-testing", tags=TAGS, protected=True)
A_KEY = {"Fn::GetAtt": ["Key", "Arn"]}
ANYBODY = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "s3:GetObject", "Resource": "*"}
TLS_ONLY = {
    "Effect": "Deny",
    "Principal": {"AWS": "*"},
    "Action": "s3:*",
    "Resource": "*",
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
OF_THE_ACCOUNT = {"StringEquals": {"aws:SourceAccount": "111111111111"}}


def kept(body: Body) -> Body:
    return {**body, "DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}


def sound_resources() -> dict[str, Body]:
    """Resources that no rule objects to, each with what the rules ask of it."""
    return {
        "Log": kept(
            {
                "Type": "AWS::Logs::LogGroup",
                "Properties": {"RetentionInDays": 14, "KmsKeyId": A_KEY, "Tags": TAG_LIST},
            }
        ),
        "Table": kept(
            {
                "Type": "AWS::DynamoDB::GlobalTable",
                "Properties": {
                    "TableName": "ai_model_registry",
                    "Replicas": [
                        {
                            "SSESpecification": {"KMSMasterKeyId": A_KEY},
                            "DeletionProtectionEnabled": True,
                            "Tags": TAG_LIST,
                        }
                    ],
                },
            }
        ),
        "Bucket": kept(
            {
                "Type": "AWS::S3::Bucket",
                "Properties": {
                    "Tags": TAG_LIST,
                    "BucketEncryption": {
                        "ServerSideEncryptionConfiguration": [
                            {"ServerSideEncryptionByDefault": {"KMSMasterKeyID": A_KEY}}
                        ]
                    },
                    "PublicAccessBlockConfiguration": {
                        "BlockPublicAcls": True,
                        "BlockPublicPolicy": True,
                        "IgnorePublicAcls": True,
                        "RestrictPublicBuckets": True,
                    },
                },
            }
        ),
        "BucketPolicy": {
            "Type": "AWS::S3::BucketPolicy",
            "Properties": {
                "Bucket": {"Ref": "Bucket"},
                "PolicyDocument": {"Statement": [TLS_ONLY]},
            },
        },
        "LogPolicy": {
            "Type": "AWS::Logs::ResourcePolicy",
            "Properties": {
                "PolicyDocument": {
                    "Fn::Join": [
                        "",
                        ['{"Statement":[{"Effect":"Allow","Principal":{"AWS":"', {"Ref": "Role"}, '"}}]}'],
                    ]
                }
            },
        },
        "LoadBalancer": {
            "Type": "AWS::ElasticLoadBalancingV2::LoadBalancer",
            "Properties": {
                "Scheme": "internal",
                "Tags": TAG_LIST,
                "LoadBalancerAttributes": [{"Key": "deletion_protection.enabled", "Value": "true"}],
            },
        },
        "Firewall": {
            "Type": "AWS::NetworkFirewall::Firewall",
            "Properties": {
                "FirewallName": "gateway-testing-egress",
                "Tags": TAG_LIST,
                "DeleteProtection": True,
                "SubnetChangeProtection": True,
                "FirewallPolicyChangeProtection": True,
            },
        },
        "Service": {
            "Type": "AWS::ECS::Service",
            "Properties": {
                "Tags": TAG_LIST,
                "NetworkConfiguration": {"AwsvpcConfiguration": {"AssignPublicIp": "DISABLED"}},
            },
        },
        "Subnet": {
            "Type": "AWS::EC2::Subnet",
            "Properties": {"Tags": TAG_LIST, "MapPublicIpOnLaunch": False},
        },
        "Address": {"Type": "AWS::EC2::EIP", "Properties": {"Tags": TAG_LIST}},
        "Nat": {
            "Type": "AWS::EC2::NatGateway",
            "Properties": {"Tags": TAG_LIST, "AllocationId": {"Fn::GetAtt": ["Address", "AllocationId"]}},
        },
        "SecurityGroup": {
            "Type": "AWS::EC2::SecurityGroup",
            "Properties": {"Tags": TAG_LIST, "SecurityGroupIngress": [{"CidrIp": "10.0.0.0/16"}]},
        },
        "Ingress": {
            "Type": "AWS::EC2::SecurityGroupIngress",
            "Properties": {"SourceSecurityGroupId": {"Ref": "SecurityGroup"}},
        },
        "Function": {
            "Type": "AWS::Lambda::Function",
            "Properties": {"Tags": TAG_LIST, "LoggingConfig": {"LogGroup": {"Ref": "Log"}}},
        },
        "Permission": {
            "Type": "AWS::Lambda::Permission",
            "Properties": {"Principal": "events.amazonaws.com"},
        },
        "Topic": {
            "Type": "AWS::SNS::Topic",
            "Properties": {"Tags": TAG_LIST, "KmsMasterKeyId": A_KEY},
        },
        "TopicPolicy": {
            "Type": "AWS::SNS::TopicPolicy",
            "Properties": {"PolicyDocument": {"Statement": [{**ANYBODY, "Condition": OF_THE_ACCOUNT}]}},
        },
    }


def found(resources: dict[str, Body], expectations: Expectations = PROTECTED) -> list[Violation]:
    return list(violations({"Stack": {"Resources": resources}}, expectations))


def changed(logical_id: str, path: str, value: object) -> dict[str, Body]:
    """The sound resources with one value at a dotted path set, or taken out where it is `None`."""
    resources = copy.deepcopy(sound_resources())
    place: Any = resources[logical_id]
    *steps, last = path.split(".")
    for step in steps:
        place = place[int(step)] if step.isdigit() else place.setdefault(step, {})
    if value is None:
        del place[last]
    else:
        place[last] = value
    return resources


def test_nothing_is_said_about_resources_that_are_sound() -> None:
    assert found(sound_resources()) == []


BLOCK = "Properties.PublicAccessBlockConfiguration"
TASK_NETWORK = "Properties.NetworkConfiguration.AwsvpcConfiguration"
BUCKET_KEY = "Properties.BucketEncryption"
REPLICA = "Properties.Replicas.0"
DENIAL = "Properties.PolicyDocument.Statement.0"
TEXT_POLICY = '{"Statement":[{"Effect":"Allow","Principal":"*"}]}'

BREACHES: list[tuple[str, str, str, object]] = [
    ("own-key", "Log", "Properties.KmsKeyId", None),
    ("own-key", "Topic", "Properties.KmsMasterKeyId", "alias/aws/sns"),
    ("own-key", "Table", f"{REPLICA}.SSESpecification", {"SSEEnabled": True}),
    ("own-key", "Bucket", BUCKET_KEY, None),
    ("no-public-address", "Service", f"{TASK_NETWORK}.AssignPublicIp", "ENABLED"),
    ("no-public-address", "Subnet", "Properties.MapPublicIpOnLaunch", True),
    ("no-public-address", "Nat", "Properties.AllocationId", "eipalloc-1"),
    ("internal-load-balancer", "LoadBalancer", "Properties.Scheme", "internet-facing"),
    ("internal-load-balancer", "LoadBalancer", "Properties.Scheme", None),
    ("no-open-ingress", "SecurityGroup", "Properties.SecurityGroupIngress", [{"CidrIp": "0.0.0.0/0"}]),
    ("no-open-ingress", "Ingress", "Properties.CidrIpv6", "::/0"),
    ("no-public-bucket", "Bucket", f"{BLOCK}.BlockPublicAcls", False),
    ("no-public-bucket", "Bucket", f"{BLOCK}.RestrictPublicBuckets", None),
    ("no-public-bucket", "Bucket", "Properties.WebsiteConfiguration", {"IndexDocument": "index.html"}),
    ("bucket-over-tls", "BucketPolicy", f"{DENIAL}.Condition", {"Bool": {"aws:SecureTransport": "true"}}),
    ("bucket-over-tls", "BucketPolicy", f"{DENIAL}.Action", "s3:GetObject"),
    ("bucket-over-tls", "BucketPolicy", "Properties.Bucket", {"Ref": "Another"}),
    ("no-public-function", "Permission", "Properties.Principal", "*"),
    ("no-public-function", "Permission", "Type", "AWS::Lambda::Url"),
    ("no-open-policy", "BucketPolicy", "Properties.PolicyDocument", {"Statement": [TLS_ONLY, ANYBODY]}),
    ("no-open-policy", "TopicPolicy", f"{DENIAL}.Condition", {"Bool": {"aws:SecureTransport": "true"}}),
    ("no-open-policy", "LogPolicy", "Properties.PolicyDocument", TEXT_POLICY),
    ("no-open-policy", "LogPolicy", "Properties.PolicyDocument", {"Fn::Join": ["", [TEXT_POLICY]]}),
    ("tagged", "Topic", "Properties.Tags", TAG_LIST[:3]),
    ("tagged", "Topic", "Properties.Tags", None),
    ("tagged", "Table", f"{REPLICA}.Tags", [{"Key": "owner", "Value": "somebody"}]),
    ("named-by-aws", "Topic", "Properties.TopicName", "alarms"),
    ("named-by-aws", "Function", "Properties.FunctionName", "guard"),
    ("named-by-aws", "Table", "Properties.TableName", "ai_model_registry_testing"),
    ("named-by-aws", "Log", "Properties.LogGroupName", "aws-waf-logs-gateway-production"),
    ("named-by-aws", "Firewall", "Properties.FirewallName", "egress"),
    ("log-retention", "Log", "Properties.RetentionInDays", None),
    ("own-log", "Function", "Properties.LoggingConfig", None),
    ("no-desired-count", "Service", "Properties.DesiredCount", 3),
    ("data-outlives-stack", "Log", "DeletionPolicy", "Delete"),
    ("data-outlives-stack", "Table", "UpdateReplacePolicy", None),
    ("data-outlives-stack", "Bucket", "DeletionPolicy", "Delete"),
    ("deletion-protection", "Table", f"{REPLICA}.DeletionProtectionEnabled", False),
    ("deletion-protection", "Firewall", "Properties.DeleteProtection", None),
    ("deletion-protection", "Firewall", "Properties.SubnetChangeProtection", False),
    ("deletion-protection", "LoadBalancer", "Properties.LoadBalancerAttributes", []),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "logical_id", "path", "value"), BREACHES)
def test_a_rule_objects_to_what_breaks_it_and_names_it(
    rule: str, logical_id: str, path: str, value: object
) -> None:
    breaches = found(changed(logical_id, path, value))
    assert {breach.rule.name for breach in breaches} == {rule}
    for breach in breaches:
        assert f"Stack/{breach.resource.logical_id} ({breach.resource.type})" in breach.message
        assert repr(breach.objection.value) in breach.message
        assert breach.rule.demand in breach.message


def test_every_rule_is_broken_by_an_example() -> None:
    assert {rule.name for rule in RULES} == {rule for rule, *_ in BREACHES}


def test_where_nothing_is_protected_everything_can_be_deleted() -> None:
    unprotected = Expectations(name="testing", prefix="gateway-testing", tags=TAGS, protected=False)
    breaches = {(one.rule.name, one.resource.logical_id) for one in found(sound_resources(), unprotected)}
    assert breaches == {
        ("data-outlives-stack", "Log"),
        ("data-outlives-stack", "Table"),
        ("deletion-protection", "Firewall"),
        ("deletion-protection", "LoadBalancer"),
        ("deletion-protection", "Table"),
    }


# ---- the rules and the stacks ----


def test_the_stacks_break_no_rule_but_where_it_is_acknowledged(every_environment: Synthesis) -> None:
    breaches = violations(every_environment.templates, expectations_of(every_environment.environment))
    assert [
        (one.rule.name, one.resource.type, one.message) for one in breaches if one.rule.name != "own-key"
    ] == []


def test_a_synthesis_fails_with_the_rule_the_resource_and_the_remedy(tmp_path: Path) -> None:
    app = new_app(tmp_path)
    cdk.Validations.of(app).add_plugins(HouseRules(load_environment("development")))
    sqs.Queue(
        cdk.Stack(app, "Stack"), "Queue", queue_name="queue", encryption=sqs.QueueEncryption.SQS_MANAGED
    )
    with pytest.raises(RuntimeError) as raised:
        app.synth()
    text = str(raised.value)
    for expected in (
        "House::own-key",
        "House::named-by-aws",
        "House::tagged",
        "QueueName is 'queue'",
        "Stack/Queue/Resource",
    ):
        assert expected in text
    assert "Leave the name out" in text


def test_every_fixed_name_that_is_allowed_is_in_the_contracts() -> None:
    from stacks.house_rules.identity import CONTRACT_NAMES

    contracts = (ROOT / "docs" / "contracts.md").read_text()
    stems = [re.split(r"[{\[]", pattern)[0] for _, pattern in CONTRACT_NAMES]
    assert [stem for stem in stems if stem not in contracts] == []


# ---- the rules and AWS's own schemas of the types in use ----


@pytest.fixture(scope="module")
def types_in_use(synthesised: Callable[[str], Synthesis]) -> dict[str, dict[str, Any]]:
    """The schema of each type that some environment uses."""
    types = {resource.type for name in ENVIRONMENT_NAMES for resource in synthesised(name).resources()}
    owned_by_aws = sorted(name for name in types if name.startswith("AWS::"))
    return {
        name: dict(PROVIDER_SCHEMA_MANAGER.get_resource_schema("eu-central-1", name).schema)
        for name in owned_by_aws
        if name != "AWS::CloudFormation::CustomResource"
    }


def properties_within(schema: object) -> Iterator[str]:
    """Names of the properties of a type and of everything nested in it."""
    if isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict):
            yield from schema["properties"]
        for value in schema.values():
            yield from properties_within(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from properties_within(value)


def test_every_type_that_can_have_our_key_is_judged(types_in_use: dict[str, dict[str, Any]]) -> None:
    with_key = {
        name
        for name, schema in types_in_use.items()
        if any(re.search(r"kms.*key", field, re.IGNORECASE) for field in properties_within(schema))
    }
    assert with_key - KEY_PROPERTIES.keys() - HOLDING_NO_DATA.keys() == set(), (
        "say in stacks/house_rules/encryption.py where they name their key, or why they need none"
    )


def test_every_type_that_can_be_tagged_is_judged(types_in_use: dict[str, dict[str, Any]]) -> None:
    # A global table has its tags where its replicas are.
    untaggable = {
        name
        for name, schema in types_in_use.items()
        if not schema.get("tagging", {}).get("taggable") and name != "AWS::DynamoDB::GlobalTable"
    }
    assert WITHOUT_TAGS & types_in_use.keys() == untaggable


NAMING_SOMETHING_ELSE = {
    ("AWS::EC2::FlowLog", "LogGroupName"),
    ("AWS::EC2::VPCEndpoint", "ServiceName"),
    ("AWS::NetworkFirewall::LoggingConfiguration", "FirewallName"),
}


def test_every_name_that_could_be_fixed_is_judged(types_in_use: dict[str, dict[str, Any]]) -> None:
    unknown = {
        (name, field)
        for name, schema in types_in_use.items()
        if name not in WITHOUT_A_NAME
        for field in schema["properties"]
        if field.endswith("Name")
        and f"/properties/{field}" in schema.get("createOnlyProperties", [])
        and field not in schema.get("required", [])
        and field not in name_properties(name)
    }
    assert unknown == NAMING_SOMETHING_ELSE


def test_a_name_is_only_taken_for_demanded_where_it_is(types_in_use: dict[str, dict[str, Any]]) -> None:
    demanding = {
        name
        for name, schema in types_in_use.items()
        if set(name_properties(name)) & set(schema.get("required", []))
    }
    assert demanding - WITHOUT_A_NAME == WITH_A_DEMANDED_NAME & types_in_use.keys()
