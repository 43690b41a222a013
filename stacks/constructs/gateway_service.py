"""The gateway's ECS service: how its tasks are spread, watched while they are deployed, and replaced."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from constructs import Construct

from stacks.settings import Release, ReleaseStrategy

STRATEGIES = {
    ReleaseStrategy.ROLLING: ecs.DeploymentStrategy.ROLLING,
    ReleaseStrategy.CANARY: ecs.DeploymentStrategy.CANARY,
    ReleaseStrategy.BLUE_GREEN: ecs.DeploymentStrategy.BLUE_GREEN,
}


class GatewayService(ecs.FargateService):
    """Runs the tasks in `subnets`, one zone as many as another, and takes back a deployment that fails.

    It has no desired count: a deploy would reset what scaling has chosen. A deployment fails where tasks
    do not start (the circuit breaker) or one of `deployment_alarms` fires.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        release: Release,
        cluster: ecs.Cluster,
        task_definition: ecs.FargateTaskDefinition,
        subnets: ec2.SubnetSelection,
        security_group: ec2.ISecurityGroup,
        deployment_alarms: Sequence[str],
    ) -> None:
        canary = release.strategy is ReleaseStrategy.CANARY
        super().__init__(
            scope,
            construct_id,
            cluster=cluster,
            task_definition=task_definition,
            vpc_subnets=subnets,
            security_groups=[security_group],
            assign_public_ip=False,
            availability_zone_rebalancing=ecs.AvailabilityZoneRebalancing.ENABLED,
            deployment_strategy=STRATEGIES[release.strategy],
            canary_configuration=_canary(release) if canary else None,
            bake_time=cdk.Duration.minutes(release.bake_minutes) if release.strategy.shifts_traffic else None,
            circuit_breaker=ecs.DeploymentCircuitBreaker(rollback=True),
            deployment_alarms=ecs.DeploymentAlarmConfig(
                alarm_names=list(deployment_alarms), behavior=ecs.AlarmBehavior.ROLLBACK_ON_ALARM
            ),
            health_check_grace_period=cdk.Duration.seconds(60),
            min_healthy_percent=100,
            max_healthy_percent=200,
            enable_ecs_managed_tags=True,
            propagate_tags=ecs.PropagatedTagSource.SERVICE,
        )


def _canary(release: Release) -> ecs.TrafficShiftConfig:
    return ecs.TrafficShiftConfig(
        step_percent=release.canary_percent, step_bake_time=cdk.Duration.minutes(release.canary_minutes)
    )
