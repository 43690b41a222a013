"""What ECS needs to move callers from old tasks to new ones: a second target group, rules, and a role.

ECS changes the weights of both rules at every deployment, and CloudFormation does not know. It writes a
rule anew only when the rule's own text changes (https://github.com/aws/aws-cdk/issues/36649), so the rules
here are the strategy's own, nothing in them but their tags follows from a setting, and a test compares them.
"""

from __future__ import annotations

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_iam as iam
from constructs import Construct

from stacks.acknowledgements import acknowledge
from stacks.constructs.gateway_container import CONTAINER, PORT
from stacks.constructs.gateway_load_balancer import FORWARDED_PATHS, GatewayLoadBalancer
from stacks.settings import Environment

TEST_PORT = 8443
"""Where new tasks answer before any caller reaches them; only the smoke test may connect."""


class TrafficShift(Construct):
    """Production and test rules over two target groups, `front_door`'s and `alternate`."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        front_door: GatewayLoadBalancer,
        vpc: ec2.IVpc,
    ) -> None:
        super().__init__(scope, construct_id)
        self._front_door = front_door
        self.alternate = front_door.new_target_group(self, "Alternate", environment=environment, vpc=vpc)
        self.test_listener = front_door.new_listener("Test", environment=environment, port=TEST_PORT)
        self._production_rule = self._rule("ProductionRule", front_door.listener)
        self._test_rule = self._rule("TestRule", self.test_listener)
        self._role = self._infrastructure_role()

    @property
    def test_url(self) -> str:
        """Where the tasks that get test traffic answer."""
        scheme = "https" if self._front_door.speaks_tls else "http"
        return f"{scheme}://{self._front_door.load_balancer.load_balancer_dns_name}:{TEST_PORT}"

    def attach(self, service: ecs.FargateService) -> None:
        """Let ECS register the service's tasks and move traffic between them."""
        rule = ecs.ListenerRuleConfiguration.application_listener_rule
        target = service.load_balancer_target(
            container_name=CONTAINER,
            container_port=PORT,
            alternate_target=ecs.AlternateTarget(
                "AlternateTarget",
                alternate_target_group=self.alternate,
                production_listener=rule(self._production_rule),
                test_listener=rule(self._test_rule),
                role=self._role,
            ),
        )
        target.attach_to_application_target_group(self._front_door.target_group)
        service.node.add_dependency(self._role, self._production_rule, self._test_rule)

    def _rule(self, construct_id: str, listener: elbv2.ApplicationListener) -> elbv2.ApplicationListenerRule:
        return elbv2.ApplicationListenerRule(
            self,
            construct_id,
            listener=listener,
            priority=5,
            conditions=[elbv2.ListenerCondition.path_patterns(list(FORWARDED_PATHS))],
            action=elbv2.ListenerAction.weighted_forward(
                [
                    elbv2.WeightedTargetGroup(target_group=self._front_door.target_group, weight=100),
                    elbv2.WeightedTargetGroup(target_group=self.alternate, weight=0),
                ]
            ),
        )

    def _infrastructure_role(self) -> iam.Role:
        """AWS's own AmazonECSInfrastructureRolePolicyForLoadBalancers, narrowed to these resources."""
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("ecs.amazonaws.com"),
            description="Lets ECS move traffic between the two target groups of the gateway",
        )
        groups = [self._front_door.target_group, self.alternate]
        rules = [self._production_rule, self._test_rule]
        role.add_to_policy(
            iam.PolicyStatement(
                sid="LookAtLoadBalancers",
                actions=[
                    "elasticloadbalancing:DescribeListeners",
                    "elasticloadbalancing:DescribeRules",
                    "elasticloadbalancing:DescribeTargetGroups",
                    "elasticloadbalancing:DescribeTargetHealth",
                ],
                resources=["*"],
            )
        )
        role.add_to_policy(
            iam.PolicyStatement(
                sid="RegisterTasks",
                actions=["elasticloadbalancing:RegisterTargets", "elasticloadbalancing:DeregisterTargets"],
                resources=[group.target_group_arn for group in groups],
            )
        )
        role.add_to_policy(
            iam.PolicyStatement(
                sid="ShiftTraffic",
                actions=["elasticloadbalancing:ModifyRule"],
                resources=[rule.listener_rule_arn for rule in rules],
            )
        )
        acknowledge(
            role,
            "AwsSolutions-IAM5[Resource::*]",
            reason="Elastic Load Balancing's Describe actions know no resource; the others name theirs.",
        )
        return role
