"""A Lambda function of this project: its code, a role with only what it is given, and an encrypted log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from stacks.acknowledgements import Pack, acknowledge, in_packs
from stacks.constructs.encrypted_log_group import EncryptedLogGroup

PROJECT = Path(__file__).parents[2]

CALLED_BY_CLOUDFORMATION = (
    "CloudFormation alone calls it, once a deploy, and waits for its answer; a reservation would fail in "
    "accounts whose whole quota is ten."
)
"""Why a custom resource's function has neither a dead-letter queue nor reserved concurrency."""

_ON_ALL_INTERFACES = (
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
)
"""Lambda refuses to create a function whose role may not delete on all resources: interfaces alone are not
enough, https://github.com/hashicorp/terraform-provider-aws/issues/20698."""

_INTERFACE_ACTIONS = (
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    *_ON_ALL_INTERFACES,
)
"""https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions"""


@dataclass(frozen=True, kw_only=True)
class FunctionLog:
    """How a function's log is kept."""

    key: kms.IKey
    retention_days: int
    removal_policy: cdk.RemovalPolicy


@dataclass(frozen=True, kw_only=True)
class FunctionNetwork:
    """Where in the network a function runs. Its security group says whom it reaches."""

    vpc: ec2.IVpc
    subnets: Sequence[ec2.ISubnet]
    security_group: ec2.ISecurityGroup


@dataclass(frozen=True, kw_only=True)
class AcceptedFindings:
    """Why a function is as it is, for the rule packs.

    `called_by` says why it has neither a dead-letter queue nor reserved concurrency, None where it has both;
    `outside_the_network` why it is in no VPC, None where it is in one.
    """

    called_by: str | None
    outside_the_network: str | None = None


class PythonFunction(Construct):
    """Runs `lambdas/<name>/handler.py`, whose `handler` takes the event.

    The code is the folder, the modules of `lambdas/` named in `shared`, and the `files` of the project (paths
    relative to it), all where they lie in the project, so that imports and paths are the same everywhere.
    The role may write the log, join the network where there is one, and do what `statements` say.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        description: str,
        log: FunctionLog,
        accepted: AcceptedFindings,
        statements: Sequence[iam.PolicyStatement] = (),
        variables: Mapping[str, str] | None = None,
        shared: Sequence[str] = (),
        files: Sequence[str] = (),
        layers: Sequence[lambda_.ILayerVersion] = (),
        network: FunctionNetwork | None = None,
        timeout_s: int = 60,
        memory_mib: int = 256,
    ) -> None:
        super().__init__(scope, construct_id)
        self.log_group = EncryptedLogGroup(
            self,
            "Logs",
            key=log.key,
            retention_days=log.retention_days,
            removal_policy=log.removal_policy,
        )
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=description,
        )
        for statement in (*statements, _write(self.log_group)):
            self.role.add_to_policy(statement)
        if network is not None:
            _let_into_the_network(self.role, network)
        self.function = lambda_.Function(
            self,
            "Function",
            description=description,
            code=_code(name, shared, files),
            handler=f"lambdas.{name}.handler.handler",
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            memory_size=memory_mib,
            timeout=cdk.Duration.seconds(timeout_s),
            log_group=self.log_group,
            role=self.role,
            environment=dict(variables) if variables else None,
            layers=list(layers) or None,
            vpc=network.vpc if network else None,
            vpc_subnets=ec2.SubnetSelection(subnets=list(network.subnets)) if network else None,
            security_groups=[network.security_group] if network else None,
        )
        _accept(self.function, accepted)

    @property
    def permissions(self) -> Construct:
        """What must be there before the function is called; depend on it."""
        return self.role.node.find_child("DefaultPolicy")  # type: ignore[return-value]


def _code(name: str, shared: Sequence[str], files: Sequence[str]) -> lambda_.Code:
    """The asset: everything is left out but what is named."""
    wanted = [f"lambdas/{name}", *(f"lambdas/{module}.py" for module in shared), *files]
    patterns = ["/*"]
    for path in wanted:
        parts = path.split("/")
        for depth in range(1, len(parts)):
            folder = "/".join(parts[:depth])
            if f"!/{folder}" not in patterns:
                patterns += [f"!/{folder}", f"/{folder}/*"]
        patterns.append(f"!/{path}")
    return lambda_.Code.from_asset(
        str(PROJECT), exclude=[*patterns, "__pycache__"], ignore_mode=cdk.IgnoreMode.GIT
    )


def _write(log_group: EncryptedLogGroup) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        sid="WriteItsLog",
        actions=["logs:CreateLogStream", "logs:PutLogEvents"],
        resources=[log_group.log_group_arn],
    )


def _let_into_the_network(role: iam.Role, network: FunctionNetwork) -> None:
    """Let Lambda join the function to the network, and keep the function's own code from doing so."""
    stack = cdk.Stack.of(role)
    place = f"{stack.region}:{stack.account}"
    interfaces = f"arn:aws:ec2:{place}:network-interface/*"
    places = [
        f"arn:aws:ec2:{place}:security-group/{network.security_group.security_group_id}",
        *(f"arn:aws:ec2:{place}:subnet/{subnet.subnet_id}" for subnet in network.subnets),
    ]
    statements = (
        iam.PolicyStatement(
            sid="LookAtTheNetwork",
            actions=["ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"],
            resources=["*"],
        ),
        iam.PolicyStatement(
            sid="ConnectToTheNetwork",
            actions=["ec2:CreateNetworkInterface"],
            resources=[interfaces, *places],
        ),
        iam.PolicyStatement(sid="LeaveTheNetwork", actions=list(_ON_ALL_INTERFACES), resources=["*"]),
        iam.PolicyStatement(
            sid="OnlyLambdaItself",
            effect=iam.Effect.DENY,
            actions=list(_INTERFACE_ACTIONS),
            resources=["*"],
            conditions={"ArnLike": {"lambda:SourceFunctionArn": f"arn:aws:lambda:{place}:function:*"}},
        ),
    )
    for statement in statements:
        role.add_to_policy(statement)
    acknowledge(
        role,
        "AwsSolutions-IAM5[Resource::*]",
        reason="EC2's Describe actions know no resource, and Lambda asks for the removal of interfaces on "
        "all; the function's own code is denied both.",
    )
    acknowledge(
        role,
        f"AwsSolutions-IAM5[Resource::{interfaces}]",
        reason="Lambda makes the interfaces, so nobody knows their ids; they only fit these subnets.",
    )


def _accept(function: lambda_.Function, accepted: AcceptedFindings) -> None:
    acknowledge(
        function,
        "AwsSolutions-L1",
        reason="Python 3.13 is the version that the whole project is tested on.",
    )
    if accepted.called_by is not None:
        acknowledge(
            function,
            *in_packs("LambdaDLQ", Pack.NIST, Pack.HIPAA),
            *in_packs("LambdaConcurrency", Pack.NIST, Pack.HIPAA),
            reason=accepted.called_by,
        )
    if accepted.outside_the_network is not None:
        acknowledge(function, *in_packs("LambdaInsideVPC"), reason=accepted.outside_the_network)
