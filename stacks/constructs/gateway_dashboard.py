"""The first page to open: is the gateway up, fast, and right, and if not, which part is not."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from stacks.constructs.alarms import Alarms
from stacks.constructs.gateway_metrics import GatewayMetrics, in_flight_per_task
from stacks.constructs.rotation_metrics import age_days, failures
from stacks.settings import Environment

WHOLE_ROW = 24
HALF_ROW = 12


class GatewayDashboard(cloudwatch.Dashboard):
    """Alarms, then what callers see, then tasks, then what the gateway relies on."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        metrics: GatewayMetrics,
        rotated_secrets: Sequence[str],
        alarms: Alarms,
    ) -> None:
        super().__init__(scope, construct_id, period_override=cloudwatch.PeriodOverride.AUTO)
        scaling = environment.scaling
        self.add_widgets(
            cloudwatch.AlarmStatusWidget(
                title=f"AI gateway, {environment.name}", alarms=list(alarms.all), width=WHOLE_ROW
            )
        )
        self.add_widgets(
            cloudwatch.GraphWidget(
                title="Requests and errors",
                width=HALF_ROW,
                left=[metrics.requests()],
                right=[metrics.error_rate_percent()],
                right_annotations=[_line(environment.monitoring.error_rate_percent, "alarm")],
            ),
            cloudwatch.GraphWidget(
                title="Time to answer",
                width=HALF_ROW,
                left=[metrics.latency_s(percentile) for percentile in (50, 95, 99)],
                left_annotations=[_line(scaling.latency_target_ms / 1000, "target of p95")],
            ),
        )
        self.add_widgets(
            cloudwatch.GraphWidget(
                title="Tasks",
                width=HALF_ROW,
                left=[metrics.running_tasks(), metrics.healthy_tasks(), metrics.unhealthy_tasks()],
                left_annotations=[
                    _line(scaling.tasks_minimum, "minimum"),
                    _line(scaling.tasks_maximum, "maximum"),
                ],
            ),
            cloudwatch.GraphWidget(
                title="Load of the tasks",
                width=HALF_ROW,
                left=[metrics.cpu_percent(), metrics.memory_percent()],
                left_annotations=[_line(scaling.cpu_target_percent, "scaling aims here")],
                right=[in_flight_per_task(environment.name)],
                right_annotations=[_line(scaling.in_flight_requests_per_task, "scaling aims here")],
            ),
        )
        self.add_widgets(
            cloudwatch.GraphWidget(
                title="Model registry",
                width=HALF_ROW,
                left=[metrics.registry_throttles(), metrics.registry_errors()],
            ),
            cloudwatch.GraphWidget(
                title="Failed function runs",
                width=HALF_ROW,
                left=list(metrics.function_errors().values()),
            ),
        )
        self.add_widgets(
            cloudwatch.GraphWidget(
                title="Age of secrets, days",
                width=HALF_ROW,
                left=[age_days(environment.name, secret) for secret in rotated_secrets],
                left_annotations=[_line(environment.secrets.rotation.maximum_age_days, "alarm")],
            ),
            cloudwatch.GraphWidget(
                title="Failed rotations",
                width=HALF_ROW,
                left=[failures(environment.name, secret) for secret in rotated_secrets],
            ),
        )


def _line(value: float, label: str) -> cloudwatch.HorizontalAnnotation:
    return cloudwatch.HorizontalAnnotation(value=value, label=label)
