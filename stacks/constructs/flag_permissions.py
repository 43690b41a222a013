"""What the functions of the flags may do with what both of them use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms


@dataclass(frozen=True, kw_only=True)
class FlagStores:
    """The first two tiers of flags, and where changes are recorded."""

    parameter_path: str
    table: dynamodb.ITable
    audit_table: dynamodb.ITable
    table_key: kms.IKey

    def parameter_arns(self, stack: cdk.Stack, names: Sequence[str]) -> list[str]:
        """The ARNs of flags' parameters."""
        path = self.parameter_path.removeprefix("/")
        return [
            stack.format_arn(service="ssm", resource="parameter", resource_name=f"{path}/{name}")
            for name in names
        ]

    def recording(self, stack: cdk.Stack) -> Sequence[iam.PolicyStatement]:
        """What it takes to add audit records, and to use the key of both tables through DynamoDB."""
        return (
            iam.PolicyStatement(
                sid="AddAuditRecords",
                actions=["dynamodb:Query", "dynamodb:PutItem"],
                resources=[self.audit_table.table_arn],
            ),
            iam.PolicyStatement(
                sid="DecryptTheTables",
                actions=["kms:Decrypt"],
                resources=[self.table_key.key_arn],
                conditions={"StringEquals": {"kms:ViaService": f"dynamodb.{stack.region}.amazonaws.com"}},
            ),
        )

    def variables(self, environment_name: str) -> dict[str, str]:
        """The variables that both functions have."""
        return {
            "ENVIRONMENT": environment_name,
            "FLAG_PARAMETERS": self.parameter_path,
            "FLAG_TABLE": self.table.table_name,
            "AUDIT_TABLE": self.audit_table.table_name,
        }
