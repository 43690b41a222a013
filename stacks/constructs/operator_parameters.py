"""Parameters that a deploy creates and operators own: no resource of a template has their values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from stacks.constructs.python_function import (
    CALLED_BY_CLOUDFORMATION,
    AcceptedFindings,
    FunctionLog,
    PythonFunction,
)

SERVICE_TIMEOUT_S = 300
"""How long a deploy waits for the function's answer, instead of the default hour."""


@dataclass(frozen=True, kw_only=True)
class OperatorParameter:
    """One parameter and the value it has until an operator sets another.

    With an `audit_subject` each value that a deploy puts is recorded under it.
    """

    name: str
    value: str
    description: str
    allowed_pattern: str | None = None
    audit_subject: str | None = None

    @property
    def declared(self) -> dict[str, str]:
        """It as `lambdas/operator_parameters` reads it."""
        pattern = {"AllowedPattern": self.allowed_pattern} if self.allowed_pattern else {}
        subject = {"AuditSubject": self.audit_subject} if self.audit_subject else {}
        return {
            "Name": self.name,
            "Value": self.value,
            "Description": self.description,
            **pattern,
            **subject,
        }


@dataclass(frozen=True, kw_only=True)
class Records:
    """Where values are recorded: the table, and the key that encrypts it."""

    table: dynamodb.ITable
    key: kms.IKey


class OperatorParameters(PythonFunction):
    """Runs `lambdas/operator_parameters` on every deploy that changes a declaration or a tag.

    `AWS::SSM::Parameter` would write the declared value over an operator's with every other change.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        parameters: Sequence[OperatorParameter],
        tags: Mapping[str, str],
        kept: bool,
        log: FunctionLog,
        records: Records | None = None,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            name="operator_parameters",
            shared=["audit_record", "custom_resource"],
            description="Declares parameters and leaves alone what operators have set",
            log=log,
            statements=(
                *_permissions(cdk.Stack.of(scope), names=[each.name for each in parameters], kept=kept),
                *_recording(cdk.Stack.of(scope), records),
            ),
            accepted=AcceptedFindings(
                called_by=CALLED_BY_CLOUDFORMATION,
                outside_the_network="It calls Parameter Store, the table of audit records where it "
                "records values, and CloudFormation's own answer address, nothing in the VPC.",
            ),
        )
        self.declared = cdk.CustomResource(
            self,
            "Declared",
            service_token=self.function.function_arn,
            properties={
                "Parameters": _json([each.declared for each in parameters]),
                "Tags": _json(dict(tags)),
                "Kept": "true" if kept else "false",
                **({"AuditTable": records.table.table_name} if records else {}),
            },
        )
        resource = self.declared.node.default_child
        assert isinstance(resource, cdk.CfnResource)  # noqa: S101 - what the construct is made of
        # The construct's own property would render the number as text, which validation objects to.
        resource.add_property_override("ServiceTimeout", SERVICE_TIMEOUT_S)
        self.declared.node.add_dependency(self.permissions)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _permissions(stack: cdk.Stack, *, names: Sequence[str], kept: bool) -> Sequence[iam.PolicyStatement]:
    arns = [
        stack.format_arn(service="ssm", resource="parameter", resource_name=name.removeprefix("/"))
        for name in names
    ]
    declaring = iam.PolicyStatement(
        sid="DeclareItsParameters",
        actions=["ssm:GetParameter", "ssm:PutParameter", "ssm:AddTagsToResource"],
        resources=arns,
    )
    deleting = iam.PolicyStatement(sid="DeleteItsParameters", actions=["ssm:DeleteParameter"], resources=arns)
    return (declaring,) if kept else (declaring, deleting)


def _recording(stack: cdk.Stack, records: Records | None) -> Sequence[iam.PolicyStatement]:
    if records is None:
        return ()
    return (
        iam.PolicyStatement(
            sid="RecordValues",
            actions=["dynamodb:PutItem", "dynamodb:Query"],
            resources=[records.table.table_arn],
        ),
        iam.PolicyStatement(
            sid="DecryptTheTable",
            actions=["kms:Decrypt"],
            resources=[records.key.key_arn],
            conditions={"StringEquals": {"kms:ViaService": f"dynamodb.{stack.region}.amazonaws.com"}},
        ),
    )
