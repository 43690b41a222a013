"""The function that ECS asks whether new tasks may get callers, before it shifts traffic to them."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from stacks.constructs.gateway_load_balancer import GatewayLoadBalancer
from stacks.constructs.python_function import (
    AcceptedFindings,
    FunctionLog,
    FunctionNetwork,
    PythonFunction,
)
from stacks.constructs.traffic_shift import TEST_PORT

TIMEOUT_S = 120
PATIENCE_S = 90
"""How long the function tries before it says no; the rest of its time is for saying so."""


class SmokeTest(PythonFunction):
    """Runs `lambdas/smoke_test` against the new tasks, through the listener that only it may reach."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        vpc: ec2.IVpc,
        subnets: Sequence[ec2.ISubnet],
        front_door: GatewayLoadBalancer,
        endpoints: ec2.ISecurityGroup,
        test_url: str,
        client_keys: secretsmanager.ISecret,
        secrets_key: kms.IKey,
        log: FunctionLog,
    ) -> None:
        security_group = _security_group(scope, f"{construct_id}SecurityGroup", vpc, front_door, endpoints)
        super().__init__(
            scope,
            construct_id,
            name="smoke_test",
            description="Asks new tasks of the AI gateway whether they answer, before callers do",
            log=log,
            statements=_permissions(cdk.Stack.of(scope), client_keys=client_keys, secrets_key=secrets_key),
            variables={
                "TEST_URL": test_url,
                "CLIENT_KEYS_SECRET": client_keys.secret_arn,
                "PATIENCE_S": str(PATIENCE_S),
            },
            network=FunctionNetwork(vpc=vpc, subnets=subnets, security_group=security_group),
            timeout_s=TIMEOUT_S,
            accepted=AcceptedFindings(
                called_by="ECS alone calls it, once a deployment, and waits for its answer; a reservation "
                "would fail in accounts whose whole quota is ten.",
            ),
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
        service.node.add_dependency(self._hook_role, self.role)

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


def _security_group(
    scope: Construct,
    construct_id: str,
    vpc: ec2.IVpc,
    front_door: GatewayLoadBalancer,
    endpoints: ec2.ISecurityGroup,
) -> ec2.SecurityGroup:
    group = ec2.SecurityGroup(
        scope,
        construct_id,
        vpc=vpc,
        description="Smoke test of the AI gateway",
        allow_all_outbound=False,
    )
    front_door.security_group.connections.allow_from(
        group, ec2.Port.tcp(TEST_PORT), "Smoke test to new tasks"
    )
    group.connections.allow_to(endpoints, ec2.Port.tcp(443), "Smoke test to endpoints of AWS services")
    return group


def _permissions(
    stack: cdk.Stack, *, client_keys: secretsmanager.ISecret, secrets_key: kms.IKey
) -> Sequence[iam.PolicyStatement]:
    return (
        iam.PolicyStatement(
            sid="ReadTheClientKey",
            actions=["secretsmanager:GetSecretValue"],
            resources=[client_keys.secret_arn],
        ),
        iam.PolicyStatement(
            sid="DecryptTheClientKey",
            actions=["kms:Decrypt"],
            resources=[secrets_key.key_arn],
            conditions={"StringEquals": {"kms:ViaService": f"secretsmanager.{stack.region}.amazonaws.com"}},
        ),
    )
