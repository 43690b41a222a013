"""Data at rest is encrypted with keys of ours, which we can audit, rotate and take away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from stacks.house_rules.rule import Objection, Resource, Rule, Template, refers

KEY_PROPERTIES: Mapping[str, str] = MappingProxyType(
    {
        "AWS::Bedrock::Guardrail": "KmsKeyArn",
        "AWS::DynamoDB::GlobalTable": "Replicas[].SSESpecification.KMSMasterKeyId",
        "AWS::DynamoDB::Table": "SSESpecification.KMSMasterKeyId",
        "AWS::ElastiCache::ServerlessCache": "KmsKeyId",
        "AWS::KinesisFirehose::DeliveryStream": "DeliveryStreamEncryptionConfigurationInput.KeyARN",
        "AWS::Logs::LogGroup": "KmsKeyId",
        "AWS::S3::Bucket": (
            "BucketEncryption.ServerSideEncryptionConfiguration[].ServerSideEncryptionByDefault"
            ".KMSMasterKeyID"
        ),
        "AWS::RDS::DBCluster": "KmsKeyId",
        "AWS::SNS::Topic": "KmsMasterKeyId",
        "AWS::SQS::Queue": "KmsMasterKeyId",
        "AWS::SecretsManager::Secret": "KmsKeyId",
    }
)
"""Where each type that keeps data names its key."""

HOLDING_NO_DATA: Mapping[str, str] = MappingProxyType(
    {
        "AWS::ECS::Cluster": "tasks write nothing: their root file system is read-only, and nobody logs in",
        "AWS::ECS::Service": "neither Service Connect nor volumes are used",
        "AWS::SecretsManager::RotationSchedule": "AWS would make a function with it; ours rotates",
        "AWS::Lambda::Function": "variables are names of things, never secrets; the code is ours",
    }
)
"""Types that could name a key and need none of ours, with the reason."""


def _judge(resource: Resource, _template: Template) -> Iterator[Objection]:
    path = KEY_PROPERTIES.get(resource.type)
    if path is None:
        return
    for key in resource.at(path):
        if not refers(key):
            yield Objection(where=path, value=key)


OWN_KEY = Rule(
    name="own-key",
    demand="data is encrypted with a key of ours",
    remedy="Give the construct an encryption key: one of the Secrets stack's, or its own.",
    judge=_judge,
)

RULES = (OWN_KEY,)
