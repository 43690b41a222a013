"""What the rotation measures of each secret, docs/contracts.md. Alarms and dashboard read the same."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch

NAMESPACE = "AiOrchestration/Rotation"
PERIOD = cdk.Duration.minutes(5)
"""The rotation looks at every secret as often."""


def age_days(environment_name: str, secret: str) -> cloudwatch.Metric:
    """Age of a secret's current value, in days."""
    return _of(environment_name, secret, "AgeDays", cloudwatch.Stats.MAXIMUM)


def failures(environment_name: str, secret: str) -> cloudwatch.Metric:
    """Steps and sweeps that failed for a secret."""
    return _of(environment_name, secret, "Failures", cloudwatch.Stats.SUM)


def _of(environment_name: str, secret: str, name: str, statistic: str) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace=NAMESPACE,
        metric_name=name,
        dimensions_map={"Environment": environment_name, "Secret": secret},
        statistic=statistic,
        period=PERIOD,
        label=secret,
    )
