"""How the number of gateway tasks follows the load and the clock."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_applicationautoscaling as applicationautoscaling
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2

from stacks.settings import Scaling


def scale(
    service: ecs.FargateService,
    *,
    target_group: elbv2.ApplicationTargetGroup,
    scaling: Scaling,
) -> ecs.ScalableTaskCount:
    """Scale on CPU and on requests per task, from minimum to maximum, with floors by the clock."""
    scale_out_cooldown = cdk.Duration.seconds(scaling.scale_out_cooldown_s)
    scale_in_cooldown = cdk.Duration.seconds(scaling.scale_in_cooldown_s)
    tasks = service.auto_scale_task_count(
        min_capacity=scaling.tasks_minimum, max_capacity=scaling.tasks_maximum
    )
    tasks.scale_on_cpu_utilization(
        "Cpu",
        target_utilization_percent=scaling.cpu_target_percent,
        scale_out_cooldown=scale_out_cooldown,
        scale_in_cooldown=scale_in_cooldown,
    )
    tasks.scale_on_request_count(
        "Requests",
        requests_per_target=scaling.requests_per_task_per_minute,
        target_group=target_group,
        scale_out_cooldown=scale_out_cooldown,
        scale_in_cooldown=scale_in_cooldown,
    )
    for floor in scaling.scheduled_floors:
        tasks.scale_on_schedule(
            floor.name,
            schedule=applicationautoscaling.Schedule.expression(floor.schedule),
            time_zone=cdk.TimeZone.of(floor.time_zone),
            min_capacity=floor.tasks_minimum,
        )
    return tasks
