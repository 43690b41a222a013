"""Parameters that a deploy creates and operators own: no resource of a template has their values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from stacks.acknowledgements import Pack, acknowledge, in_packs
from stacks.constructs.encrypted_log_group import EncryptedLogGroup

CODE = Path(__file__).parents[2] / "lambdas" / "operator_parameters"

SERVICE_TIMEOUT_S = 300
"""How long a deploy waits for the function's answer, instead of the default hour."""


@dataclass(frozen=True, kw_only=True)
class OperatorParameter:
    """One parameter and the value it has until an operator sets another."""

    name: str
    value: str
    description: str
    allowed_pattern: str | None = None

    @property
    def declared(self) -> dict[str, str]:
        """It as `lambdas/operator_parameters` reads it."""
        pattern = {"AllowedPattern": self.allowed_pattern} if self.allowed_pattern else {}
        return {"Name": self.name, "Value": self.value, "Description": self.description, **pattern}


class OperatorParameters(Construct):
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
        log_key: kms.IKey,
        log_retention_days: int,
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
        role = _role(self, names=[each.name for each in parameters], kept=kept, log_group=log_group)
        self.function = lambda_.Function(
            self,
            "Function",
            description="Declares parameters and leaves alone what operators have set",
            code=lambda_.Code.from_asset(str(CODE), exclude=["__pycache__"]),
            handler="handler.handler",
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            memory_size=256,
            timeout=cdk.Duration.minutes(1),
            log_group=log_group,
            role=role,
        )
        _accept_findings(self.function)
        self.declared = cdk.CustomResource(
            self,
            "Declared",
            service_token=self.function.function_arn,
            properties={
                "Parameters": _json([each.declared for each in parameters]),
                "Tags": _json(dict(tags)),
                "Kept": "true" if kept else "false",
            },
        )
        resource = self.declared.node.default_child
        assert isinstance(resource, cdk.CfnResource)  # noqa: S101 - what the construct is made of
        # The construct's own property would render the number as text, which validation objects to.
        resource.add_property_override("ServiceTimeout", SERVICE_TIMEOUT_S)
        self.declared.node.add_dependency(role.node.find_child("DefaultPolicy"))


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _accept_findings(function: lambda_.Function) -> None:
    acknowledge(
        function,
        "AwsSolutions-L1",
        reason="Python 3.13 is the version that the whole project is tested on.",
    )
    acknowledge(
        function,
        *in_packs("LambdaDLQ", Pack.NIST, Pack.HIPAA),
        *in_packs("LambdaConcurrency", Pack.NIST, Pack.HIPAA),
        reason="CloudFormation alone calls it, once a deploy, and waits for its answer; a reservation "
        "would fail in accounts whose whole quota is ten.",
    )
    acknowledge(
        function,
        *in_packs("LambdaInsideVPC"),
        reason="It calls Parameter Store and CloudFormation's own answer address, nothing in the VPC.",
    )


def _role(
    scope: Construct,
    *,
    names: Sequence[str],
    kept: bool,
    log_group: EncryptedLogGroup,
) -> iam.Role:
    stack = cdk.Stack.of(scope)
    arns = [
        stack.format_arn(service="ssm", resource="parameter", resource_name=name.removeprefix("/"))
        for name in names
    ]
    role = iam.Role(
        scope,
        "Role",
        assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
        description="Declares its parameters, and writes its own log",
    )
    role.add_to_policy(
        iam.PolicyStatement(
            sid="DeclareItsParameters",
            actions=["ssm:GetParameter", "ssm:PutParameter", "ssm:AddTagsToResource"],
            resources=arns,
        )
    )
    if not kept:
        role.add_to_policy(
            iam.PolicyStatement(sid="DeleteItsParameters", actions=["ssm:DeleteParameter"], resources=arns)
        )
    role.add_to_policy(
        iam.PolicyStatement(
            sid="WriteItsLog",
            actions=["logs:CreateLogStream", "logs:PutLogEvents"],
            resources=[log_group.log_group_arn],
        )
    )
    return role
