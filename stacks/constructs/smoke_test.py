"""The function that ECS asks whether new tasks may get callers, before it shifts traffic to them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from stacks.acknowledgements import Pack, acknowledge, in_packs
from stacks.constructs.encrypted_log_group import EncryptedLogGroup
from stacks.constructs.gateway_load_balancer import GatewayLoadBalancer
from stacks.constructs.traffic_shift import TEST_PORT
from stacks.settings import Environment

CODE = Path(__file__).parents[2] / "lambdas" / "smoke_test"

TIMEOUT_S = 120
PATIENCE_S = 90
"""How long the function tries before it says no; the rest of its time is for saying so."""


class SmokeTest(Construct):
    """Runs `lambdas/smoke_test` against the new tasks, through the listener that only it may reach."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        vpc: ec2.IVpc,
        subnets: Sequence[ec2.ISubnet],
        front_door: GatewayLoadBalancer,
        endpoints: ec2.ISecurityGroup,
        test_url: str,
        client_keys: secretsmanager.ISecret,
        secrets_key: kms.IKey,
        log_key: kms.IKey,
        removal_policy: cdk.RemovalPolicy,
    ) -> None:
        super().__init__(scope, construct_id)
        log_group = EncryptedLogGroup(
            self,
            "Logs",
            key=log_key,
            retention_days=environment.gateway.log_retention_days,
            removal_policy=removal_policy,
        )
        security_group = self._security_group(vpc, front_door, endpoints)
        self._function_role = self._role_of_the_function(
            subnets=subnets,
            security_group=security_group,
            client_keys=client_keys,
            secrets_key=secrets_key,
            log_group=log_group,
        )
        self.function = lambda_.Function(
            self,
            "Function",
            description="Asks new tasks of the AI gateway whether they answer, before callers do",
            code=lambda_.Code.from_asset(str(CODE), exclude=["__pycache__"]),
            handler="handler.handler",
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            memory_size=256,
            timeout=cdk.Duration.seconds(TIMEOUT_S),
            log_group=log_group,
            role=self._function_role,
            vpc=vpc,
            vpc_subnets=ec2.SubnetSelection(subnets=list(subnets)),
            security_groups=[security_group],
            environment={
                "TEST_URL": test_url,
                "CLIENT_KEYS_SECRET": client_keys.secret_arn,
                "PATIENCE_S": str(PATIENCE_S),
            },
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
            reason="ECS alone calls it, once a deployment, and waits for its answer; a reservation would "
            "fail in accounts whose whole quota is ten.",
        )
        self._hook_role = self._role_of_the_hook()

    def guard(self, service: ecs.FargateService) -> None:
        """Have ECS ask before it shifts production traffic; anything but a yes rolls the deployment back."""
        service.add_lifecycle_hook(
            ecs.DeploymentLifecycleLambdaTarget(
                self.function,
                "SmokeTest",
                lifecycle_stages=[ecs.DeploymentLifecycleStage.POST_TEST_TRAFFIC_SHIFT],
                role=self._hook_role,
            )
        )
        service.node.add_dependency(self._hook_role, self._function_role)

    def _security_group(
        self, vpc: ec2.IVpc, front_door: GatewayLoadBalancer, endpoints: ec2.ISecurityGroup
    ) -> ec2.SecurityGroup:
        group = ec2.SecurityGroup(
            self,
            "SecurityGroup",
            vpc=vpc,
            description="Smoke test of the AI gateway",
            allow_all_outbound=False,
        )
        front_door.security_group.connections.allow_from(
            group, ec2.Port.tcp(TEST_PORT), "Smoke test to new tasks"
        )
        group.connections.allow_to(endpoints, ec2.Port.tcp(443), "Smoke test to endpoints of AWS services")
        return group

    def _role_of_the_function(
        self,
        *,
        subnets: Sequence[ec2.ISubnet],
        security_group: ec2.ISecurityGroup,
        client_keys: secretsmanager.ISecret,
        secrets_key: kms.IKey,
        log_group: EncryptedLogGroup,
    ) -> iam.Role:
        stack = cdk.Stack.of(self)
        role = iam.Role(
            self,
            "FunctionRole",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description="Reads the client key, writes the smoke test's own log, and connects to the VPC",
        )
        place = f"{stack.region}:{stack.account}"
        ec2_arn = f"arn:aws:ec2:{place}"
        interfaces = f"{ec2_arn}:network-interface/*"
        statements = [
            iam.PolicyStatement(
                sid="ReadTheClientKey",
                actions=["secretsmanager:GetSecretValue"],
                resources=[client_keys.secret_arn],
            ),
            iam.PolicyStatement(
                sid="DecryptTheClientKey",
                actions=["kms:Decrypt"],
                resources=[secrets_key.key_arn],
                conditions={
                    "StringEquals": {"kms:ViaService": f"secretsmanager.{stack.region}.amazonaws.com"}
                },
            ),
            iam.PolicyStatement(
                sid="WriteItsLog",
                actions=["logs:CreateLogStream", "logs:PutLogEvents"],
                resources=[log_group.log_group_arn],
            ),
            # https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions
            iam.PolicyStatement(
                sid="LookAtTheNetwork",
                actions=["ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"],
                resources=["*"],
            ),
            iam.PolicyStatement(
                sid="ConnectToTheNetwork",
                actions=["ec2:CreateNetworkInterface"],
                resources=[
                    interfaces,
                    f"{ec2_arn}:security-group/{security_group.security_group_id}",
                    *(f"{ec2_arn}:subnet/{subnet.subnet_id}" for subnet in subnets),
                ],
            ),
            iam.PolicyStatement(
                sid="LeaveTheNetwork",
                actions=[
                    "ec2:DeleteNetworkInterface",
                    "ec2:AssignPrivateIpAddresses",
                    "ec2:UnassignPrivateIpAddresses",
                ],
                resources=[interfaces],
            ),
        ]
        for statement in statements:
            role.add_to_policy(statement)
        # Lambda makes these calls for the function; the function's own code has no business making them.
        role.add_to_policy(
            iam.PolicyStatement(
                sid="OnlyLambdaItself",
                effect=iam.Effect.DENY,
                actions=[
                    "ec2:CreateNetworkInterface",
                    "ec2:DeleteNetworkInterface",
                    "ec2:DescribeNetworkInterfaces",
                    "ec2:DescribeSubnets",
                    "ec2:AssignPrivateIpAddresses",
                    "ec2:UnassignPrivateIpAddresses",
                ],
                resources=["*"],
                conditions={"ArnLike": {"lambda:SourceFunctionArn": f"arn:aws:lambda:{place}:function:*"}},
            )
        )
        acknowledge(
            role,
            "AwsSolutions-IAM5[Resource::*]",
            reason="EC2's Describe actions know no resource; what is denied on everything is denied.",
        )
        acknowledge(
            role,
            f"AwsSolutions-IAM5[Resource::{interfaces}]",
            reason="Lambda makes the interfaces, so nobody knows their ids; they only fit these subnets.",
        )
        return role

    def _role_of_the_hook(self) -> iam.Role:
        role = iam.Role(
            self,
            "HookRole",
            assumed_by=iam.ServicePrincipal("ecs.amazonaws.com"),
            description="Lets ECS run the smoke test of the AI gateway",
        )
        role.add_to_policy(
            iam.PolicyStatement(
                sid="RunTheSmokeTest",
                actions=["lambda:InvokeFunction"],
                resources=[self.function.function_arn],
            )
        )
        return role
