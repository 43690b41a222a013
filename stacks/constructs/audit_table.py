"""The table of audit records: records are added, and nobody updates or deletes one."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

CHANGING = (
    "dynamodb:BatchWriteItem",
    "dynamodb:DeleteItem",
    "dynamodb:PartiQLDelete",
    "dynamodb:PartiQLInsert",
    "dynamodb:PartiQLUpdate",
    "dynamodb:UpdateItem",
    "dynamodb:UpdateTimeToLive",
)
"""What changes or removes a record, or removes it later. All of them may stand in a table's policy:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/rbac-iam-actions.html

PutItem is what writers append with, on the condition that there is no such record; IAM cannot ask for that
condition. Who may put is not limited here either: the writers' roles are named by CloudFormation, which cuts
long names, so a pattern of names that holds everywhere is not known, and operators append with roles of their
own. A record that was put over another shows in the log: docs/contracts.md."""


class AuditTable(dynamodb.TableV2):
    """Keyed as `docs/contracts.md` says. Its policy denies updates and deletions to every principal."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        key: kms.IKey,
        protected: bool,
        removal_policy: cdk.RemovalPolicy,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            partition_key=dynamodb.Attribute(name="subject", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="sequence", type=dynamodb.AttributeType.NUMBER),
            encryption=dynamodb.TableEncryptionV2.customer_managed_key(key),
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=protected,
            removal_policy=removal_policy,
            resource_policy=iam.PolicyDocument(
                statements=[
                    iam.PolicyStatement(
                        sid="RecordsStayAsTheyAre",
                        effect=iam.Effect.DENY,
                        principals=[iam.AnyPrincipal()],
                        actions=list(CHANGING),
                        # The table's own name would make a circle; its policy speaks of it alone.
                        resources=["*"],
                    )
                ]
            ),
        )
