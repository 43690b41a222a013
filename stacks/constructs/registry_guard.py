"""The custom resource that deploys declared model versions and refuses changes to deployed ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from stacks.acknowledgements import Pack, acknowledge, in_packs
from stacks.constructs.encrypted_log_group import EncryptedLogGroup

CODE = Path(__file__).parents[2] / "lambdas" / "registry_guard"

SERVICE_TIMEOUT_S = 300
"""How long a deploy waits for the guard's answer, instead of the default hour."""


class RegistryGuard(Construct):
    """Runs `lambdas/registry_guard` on every deploy that changes `items`."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        table: dynamodb.TableV2,
        items: Sequence[dict[str, object]],
        log_key: kms.IKey,
        log_retention_days: int,
        table_key: kms.IKey,
        removal_policy: cdk.RemovalPolicy,
    ) -> None:
        super().__init__(scope, construct_id)
        log_group = EncryptedLogGroup(
            self,
            "Logs",
            key=log_key,
            retention_days=log_retention_days,
            removal_policy=removal_policy,
        )
        role = _role(self, table=table, table_key=table_key, log_group=log_group)
        self.function = lambda_.Function(
            self,
            "Function",
            description="Deploys declared model versions and refuses changes to deployed ones",
            code=lambda_.Code.from_asset(str(CODE), exclude=["__pycache__"]),
            handler="handler.handler",
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            memory_size=256,
            timeout=cdk.Duration.minutes(1),
            log_group=log_group,
            role=role,
        )
        acknowledge(
            self.function,
            "AwsSolutions-L1",
            reason="Python 3.13 is the version that the whole project is tested on.",
        )
        acknowledge(
            self.function,
            *in_packs("LambdaDLQ", Pack.NIST, Pack.HIPAA),
            *in_packs("LambdaConcurrency", Pack.NIST, Pack.HIPAA),
            reason="CloudFormation alone calls it, once a deploy, and waits for its answer; a reservation "
            "would fail in accounts whose whole quota is ten.",
        )
        acknowledge(
            self.function,
            *in_packs("LambdaInsideVPC"),
            reason="It calls the registry table and CloudFormation's own answer address, nothing in the VPC.",
        )
        guard = cdk.CustomResource(
            self,
            "DeployedVersions",
            service_token=self.function.function_arn,
            # CloudFormation would turn the numbers of a nested object into text.
            properties={
                "TableName": table.table_name,
                "Items": json.dumps(items, ensure_ascii=False, separators=(",", ":")),
            },
        )
        resource = guard.node.default_child
        assert isinstance(resource, cdk.CfnResource)  # noqa: S101 - what the construct is made of
        # The construct's own property would render the number as text, which validation objects to.
        resource.add_property_override("ServiceTimeout", SERVICE_TIMEOUT_S)
        guard.node.add_dependency(role.node.find_child("DefaultPolicy"))


def _role(
    scope: Construct,
    *,
    table: dynamodb.TableV2,
    table_key: kms.IKey,
    log_group: EncryptedLogGroup,
) -> iam.Role:
    role = iam.Role(
        scope,
        "Role",
        assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
        description="Reads and adds model versions, and writes the guard's own log",
    )
    role.add_to_policy(
        iam.PolicyStatement(
            sid="ReadAndAddVersions",
            actions=["dynamodb:GetItem", "dynamodb:PutItem"],
            resources=[table.table_arn],
        )
    )
    role.add_to_policy(
        iam.PolicyStatement(
            sid="DecryptTheTable",
            actions=["kms:Decrypt"],
            resources=[table_key.key_arn],
            conditions={
                "StringEquals": {"kms:ViaService": f"dynamodb.{cdk.Stack.of(scope).region}.amazonaws.com"}
            },
        )
    )
    role.add_to_policy(
        iam.PolicyStatement(
            sid="WriteItsLog",
            actions=["logs:CreateLogStream", "logs:PutLogEvents"],
            resources=[log_group.log_group_arn],
        )
    )
    return role
