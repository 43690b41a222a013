"""How the number of gateway tasks follows the load and the clock."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_applicationautoscaling as applicationautoscaling
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from constructs import Construct

from stacks.constructs.gateway_metrics import in_flight_per_task
from stacks.settings import Environment

Policy = applicationautoscaling.CfnScalingPolicy


class GatewayScaling(Construct):
    """Scales from minimum to maximum on CPU, on requests and on requests in flight, with floors by the clock.

    Each measure has a policy of its own. ECS follows the one that wants the most tasks, and takes tasks away
    only where all agree, and not while a deployment runs.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        service: ecs.FargateService,
        target_groups: Sequence[elbv2.ApplicationTargetGroup],
    ) -> None:
        super().__init__(scope, construct_id)
        scaling = environment.scaling
        self._scaling = scaling
        self._tasks = service.auto_scale_task_count(
            min_capacity=scaling.tasks_minimum, max_capacity=scaling.tasks_maximum
        )
        self._scale_on_cpu()
        if len(target_groups) == 1:
            self._scale_on_requests(target_groups[0])
        else:
            self._scale_on_requests_wherever_they_go(target_groups)
        self._scale_on_requests_in_flight(environment.name)
        if scaling.predictive_scaling == "forecast_only":
            self._forecast()
        self._keep_floors()

    def _scale_on_cpu(self) -> None:
        self._tasks.scale_on_cpu_utilization(
            "Cpu",
            target_utilization_percent=self._scaling.cpu_target_percent,
            scale_out_cooldown=self._scale_out_cooldown,
            scale_in_cooldown=self._scale_in_cooldown,
        )

    def _scale_on_requests(self, target_group: elbv2.ApplicationTargetGroup) -> None:
        self._tasks.scale_on_request_count(
            "Requests",
            requests_per_target=self._scaling.requests_per_task_per_minute,
            target_group=target_group,
            scale_out_cooldown=self._scale_out_cooldown,
            scale_in_cooldown=self._scale_in_cooldown,
        )

    def _scale_on_requests_wherever_they_go(
        self, target_groups: Sequence[elbv2.ApplicationTargetGroup]
    ) -> None:
        """Traffic changes sides at every deployment, and the predefined metric looks at one side only."""
        metric_name = "RequestCountPerTarget"
        query = Policy.TargetTrackingMetricDataQueryProperty
        parts = [
            query(
                id=f"side{position}",
                metric_stat=Policy.TargetTrackingMetricStatProperty(
                    metric=Policy.TargetTrackingMetricProperty(
                        namespace="AWS/ApplicationELB",
                        metric_name=metric_name,
                        dimensions=[
                            Policy.TargetTrackingMetricDimensionProperty(
                                name="TargetGroup", value=group.target_group_full_name
                            )
                        ],
                    ),
                    stat="Sum",
                ),
                return_data=False,
            )
            for position, group in enumerate(target_groups)
        ]
        total = query(
            id="requests",
            expression=" + ".join(f"FILL({part.id}, 0)" for part in parts),
            return_data=True,
        )
        Policy(
            self,
            "Requests",
            policy_name=self._policy_name("Requests"),
            scaling_target_id=self._target_id,
            policy_type="TargetTrackingScaling",
            target_tracking_scaling_policy_configuration=(
                Policy.TargetTrackingScalingPolicyConfigurationProperty(
                    target_value=self._scaling.requests_per_task_per_minute,
                    scale_out_cooldown=self._scaling.scale_out_cooldown_s,
                    scale_in_cooldown=self._scaling.scale_in_cooldown_s,
                    customized_metric_specification=(
                        Policy.CustomizedMetricSpecificationProperty(metrics=[*parts, total])
                    ),
                )
            ),
        )

    def _scale_on_requests_in_flight(self, environment_name: str) -> None:
        """Every task counts once a second, so the average over all of them is the mean per task."""
        self._tasks.scale_to_track_custom_metric(
            "InFlight",
            metric=in_flight_per_task(environment_name),
            target_value=self._scaling.in_flight_requests_per_task,
            scale_out_cooldown=self._scale_out_cooldown,
            scale_in_cooldown=self._scale_in_cooldown,
        )

    def _forecast(self) -> None:
        """CPU, because its metric pair names no target group and so survives every strategy.

        https://docs.aws.amazon.com/AmazonECS/latest/developerguide/predictive-scaling-create-policy.html
        """
        Policy(
            self,
            "Forecast",
            policy_name=self._policy_name("Forecast"),
            scaling_target_id=self._target_id,
            policy_type="PredictiveScaling",
            predictive_scaling_policy_configuration=(
                Policy.PredictiveScalingPolicyConfigurationProperty(
                    mode="ForecastOnly",
                    metric_specifications=[
                        Policy.PredictiveScalingMetricSpecificationProperty(
                            target_value=self._scaling.cpu_target_percent,
                            predefined_metric_pair_specification=(
                                Policy.PredictiveScalingPredefinedMetricPairProperty(
                                    predefined_metric_type="ECSServiceCPUUtilization"
                                )
                            ),
                        )
                    ],
                )
            ),
        )

    def _keep_floors(self) -> None:
        for floor in self._scaling.scheduled_floors:
            self._tasks.scale_on_schedule(
                floor.name,
                schedule=applicationautoscaling.Schedule.expression(floor.schedule),
                time_zone=cdk.TimeZone.of(floor.time_zone),
                min_capacity=floor.tasks_minimum,
            )

    def _policy_name(self, name: str) -> str:
        return f"{cdk.Names.unique_resource_name(self, max_length=200)}{name}"

    @property
    def _target_id(self) -> str:
        """The CDK keeps the target to itself, and its policies know neither metric math nor forecasts."""
        target = self._tasks.node.find_child("Target")
        assert isinstance(target, applicationautoscaling.ScalableTarget)  # noqa: S101 - what the construct is made of
        return target.scalable_target_id

    @property
    def _scale_out_cooldown(self) -> cdk.Duration:
        return cdk.Duration.seconds(self._scaling.scale_out_cooldown_s)

    @property
    def _scale_in_cooldown(self) -> cdk.Duration:
        return cdk.Duration.seconds(self._scaling.scale_in_cooldown_s)
