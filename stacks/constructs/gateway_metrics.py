"""What is measured of a running gateway. Alarms and dashboard read the same definitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_lambda as lambda_

PERIOD = cdk.Duration.minutes(1)

IN_FLIGHT_NAMESPACE = "AiOrchestration/Gateway"
IN_FLIGHT_METRIC = "InFlightRequests"
IN_FLIGHT_DIMENSION = "Environment"
"""What the gateway publishes, docs/contracts.md."""

REGISTRY_OPERATIONS = (
    dynamodb.Operation.GET_ITEM,
    dynamodb.Operation.PUT_ITEM,
    dynamodb.Operation.QUERY,
    dynamodb.Operation.SCAN,
)


def in_flight_per_task(environment_name: str) -> cloudwatch.Metric:
    """Requests a task is answering at a time: every task counts once a second, all counts weigh the same."""
    return cloudwatch.Metric(
        namespace=IN_FLIGHT_NAMESPACE,
        metric_name=IN_FLIGHT_METRIC,
        dimensions_map={IN_FLIGHT_DIMENSION: environment_name},
        statistic=cloudwatch.Stats.AVERAGE,
        period=PERIOD,
        label="In flight per task",
    )


@dataclass(frozen=True, kw_only=True)
class Watched:
    """The resources that monitoring looks at. `functions` by the name they are shown with.

    More than one target group where a release shifts traffic: tasks are behind one or behind both.
    """

    service: ecs.FargateService
    load_balancer: elbv2.ApplicationLoadBalancer
    target_groups: Sequence[elbv2.ApplicationTargetGroup]
    registry_table: dynamodb.ITable
    functions: Mapping[str, lambda_.IFunction]
    rotated_secrets: Sequence[str] = ()
    """Names that the rotation measures secrets by."""


class GatewayMetrics:
    """Metrics by the minute."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched

    def requests(self) -> cloudwatch.Metric:
        """Requests that reached a task."""
        return self._watched.load_balancer.metrics.request_count(period=PERIOD, label="Requests")

    def error_rate_percent(self) -> cloudwatch.MathExpression:
        """Share of answers with a 5xx status, whoever gave it.

        The load balancer counts as requests only those it had a task for, so its own errors are added.
        """
        metrics = self._watched.load_balancer.metrics
        return cloudwatch.MathExpression(
            expression="100 * (FILL(tasks, 0) + FILL(balancer, 0)) / (FILL(requests, 0) + FILL(balancer, 0))",
            using_metrics={
                "tasks": metrics.http_code_target(elbv2.HttpCodeTarget.TARGET_5XX_COUNT, period=PERIOD),
                "balancer": metrics.http_code_elb(elbv2.HttpCodeElb.ELB_5XX_COUNT, period=PERIOD),
                "requests": metrics.request_count(period=PERIOD),
            },
            period=PERIOD,
            label="5xx answers, %",
        )

    def latency_s(self, percentile: int) -> cloudwatch.Metric:
        """Time until the answer's first byte, in seconds; the providers' time is part of it."""
        return self._watched.load_balancer.metrics.target_response_time(
            period=PERIOD, statistic=f"p{percentile}", label=f"p{percentile}, s"
        )

    def unhealthy_tasks(self) -> cloudwatch.IMetric:
        """Tasks that fail the load balancer's health check."""
        return self._health_check("UnHealthyHostCount", statistic="Maximum", label="Unhealthy tasks")

    def healthy_tasks(self) -> cloudwatch.IMetric:
        """Tasks that pass it."""
        return self._health_check("HealthyHostCount", statistic="Minimum", label="Healthy tasks")

    def _health_check(self, name: str, *, statistic: str, label: str) -> cloudwatch.IMetric:
        metrics = {
            f"{name[0].lower()}{name[1:]}{position}": cloudwatch.Metric(
                # The CDK's own metric takes the load balancer's name apart out of the listener's.
                namespace="AWS/ApplicationELB",
                metric_name=name,
                dimensions_map={
                    "LoadBalancer": self._watched.load_balancer.load_balancer_full_name,
                    "TargetGroup": group.target_group_full_name,
                },
                statistic=statistic,
                period=PERIOD,
                label=label,
            )
            for position, group in enumerate(self._watched.target_groups)
        }
        if len(metrics) == 1:
            return next(iter(metrics.values()))
        return cloudwatch.MathExpression(
            expression=" + ".join(f"FILL({group}, 0)" for group in metrics),
            using_metrics=metrics,
            period=PERIOD,
            label=label,
        )

    def running_tasks(self) -> cloudwatch.Metric:
        """Tasks that run, by Container Insights."""
        service = self._watched.service
        return cloudwatch.Metric(
            namespace="ECS/ContainerInsights",
            metric_name="RunningTaskCount",
            dimensions_map={
                "ClusterName": service.cluster.cluster_name,
                "ServiceName": service.service_name,
            },
            statistic="Minimum",
            period=PERIOD,
            label="Running tasks",
        )

    def cpu_percent(self) -> cloudwatch.Metric:
        """Average CPU of the tasks."""
        return self._watched.service.metric_cpu_utilization(period=PERIOD, label="CPU, %")

    def memory_percent(self) -> cloudwatch.Metric:
        """Average memory of the tasks."""
        return self._watched.service.metric_memory_utilization(period=PERIOD, label="Memory, %")

    def registry_throttles(self) -> cloudwatch.MathExpression:
        """Reads and writes of the registry that DynamoDB turned away."""
        table = self._watched.registry_table
        return cloudwatch.MathExpression(
            expression="FILL(reads, 0) + FILL(writes, 0)",
            using_metrics={
                "reads": table.metric("ReadThrottleEvents", period=PERIOD, statistic="Sum"),
                "writes": table.metric("WriteThrottleEvents", period=PERIOD, statistic="Sum"),
            },
            period=PERIOD,
            label="Throttled",
        )

    def registry_errors(self) -> cloudwatch.IMetric:
        """Registry requests that failed inside DynamoDB."""
        return self._watched.registry_table.metric_system_errors_for_operations(
            operations=list(REGISTRY_OPERATIONS), period=PERIOD, label="Failed"
        )

    def function_errors(self) -> Mapping[str, cloudwatch.Metric]:
        """Failed runs by function."""
        return {
            name: function.metric_errors(period=PERIOD, label=name)
            for name, function in self._watched.functions.items()
        }
