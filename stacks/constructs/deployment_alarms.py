"""The alarms that undo a deployment.

They belong to the Gateway stack, not to Monitoring: the service names them, Monitoring reads the service,
and a stack cannot be deployed both before and after another. They announce nothing to anybody, because
Monitoring's own alarms do; these only speak to ECS, sooner, and for each set of tasks by itself, so that
a canary's failures are not thinned by the old tasks' good answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from constructs import Construct

from stacks.acknowledgements import Pack, acknowledge, in_packs
from stacks.settings import Environment

PERIOD = cdk.Duration.minutes(1)
MINUTES_LOOKED_AT = 3
MINUTES_BAD = 2

LETTERS = "abcdefgh"


class DeploymentAlarms(Construct):
    """Errors, unhealthy tasks, slow answers behind any of `target_groups`; `names` are what ECS watches."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        load_balancer: elbv2.ApplicationLoadBalancer,
        target_groups: Sequence[elbv2.ApplicationTargetGroup],
    ) -> None:
        super().__init__(scope, construct_id)
        acknowledge(
            self,
            *in_packs("CloudWatchAlarmAction", Pack.NIST, Pack.HIPAA),
            reason="ECS watches these alarms by name and acts on them; Monitoring's own tell people.",
        )
        self._load_balancer = load_balancer
        self._target_groups = target_groups
        error_rate_percent = environment.monitoring.error_rate_percent
        latency_target_ms = environment.scaling.latency_target_ms
        self.names = [
            self._alarm(
                "ErrorRate",
                self._worst(self._error_rate_percent),
                above=error_rate_percent,
                meaning=f"more than {error_rate_percent:g} % of the answers have a 5xx status",
            ),
            self._alarm(
                "UnhealthyTasks",
                self._worst(self._unhealthy_tasks),
                above=0,
                meaning="a task fails its health check",
            ),
            self._alarm(
                "Latency",
                self._worst(self._latency_s),
                above=latency_target_ms / 1000,
                meaning=f"one answer in twenty takes longer than {latency_target_ms} ms",
            ),
        ]

    def _alarm(self, construct_id: str, metric: cloudwatch.IMetric, *, above: float, meaning: str) -> str:
        alarm = cloudwatch.Alarm(
            self,
            construct_id,
            metric=metric,
            threshold=above,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=MINUTES_LOOKED_AT,
            datapoints_to_alarm=MINUTES_BAD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            alarm_description=f"undoes a deployment: {meaning}",
        )
        return alarm.alarm_name

    def _worst(
        self, of: Callable[[elbv2.ApplicationTargetGroup, str], cloudwatch.IMetric]
    ) -> cloudwatch.IMetric:
        """The highest of the target groups' values."""
        metrics = {
            f"{letter}0": of(group, letter)
            for letter, group in zip(LETTERS, self._target_groups, strict=False)
        }
        if len(metrics) == 1:
            return next(iter(metrics.values()))
        return cloudwatch.MathExpression(
            expression=f"MAX([{', '.join(metrics)}])", using_metrics=metrics, period=PERIOD
        )

    def _error_rate_percent(
        self, group: elbv2.ApplicationTargetGroup, letter: str
    ) -> cloudwatch.MathExpression:
        """Share of 5xx answers; those the load balancer gave itself count against every group."""
        tasks, balancer, requests = f"{letter}1", f"{letter}2", f"{letter}3"
        answers = f"(FILL({requests}, 0) + FILL({balancer}, 0))"
        return cloudwatch.MathExpression(
            expression=f"100 * (FILL({tasks}, 0) + FILL({balancer}, 0)) / {answers}",
            using_metrics={
                tasks: self._of_group(group, "HTTPCode_Target_5XX_Count", "Sum"),
                balancer: self._load_balancer.metrics.http_code_elb(
                    elbv2.HttpCodeElb.ELB_5XX_COUNT, period=PERIOD
                ),
                requests: self._of_group(group, "RequestCount", "Sum"),
            },
            period=PERIOD,
        )

    def _unhealthy_tasks(self, group: elbv2.ApplicationTargetGroup, _letter: str) -> cloudwatch.Metric:
        return self._of_group(group, "UnHealthyHostCount", "Maximum")

    def _latency_s(self, group: elbv2.ApplicationTargetGroup, _letter: str) -> cloudwatch.Metric:
        return self._of_group(group, "TargetResponseTime", "p95")

    def _of_group(self, group: elbv2.ApplicationTargetGroup, name: str, statistic: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace="AWS/ApplicationELB",
            metric_name=name,
            dimensions_map={
                "LoadBalancer": self._load_balancer.load_balancer_full_name,
                "TargetGroup": group.target_group_full_name,
            },
            statistic=statistic,
            period=PERIOD,
        )
