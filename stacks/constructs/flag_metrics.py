"""What the functions of the flags count, docs/contracts.md."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch

NAMESPACE = "AiOrchestration/Flags"
PERIOD = cdk.Duration.minutes(5)
"""The tiers are compared as often, events apart."""


def refused(environment_name: str) -> cloudwatch.Metric:
    """Values of flags that were taken back."""
    return _of(environment_name, "Refused")


def failures(environment_name: str) -> cloudwatch.Metric:
    """Stores that did not answer the functions, and flags that could not be settled."""
    return _of(environment_name, "Failures")


def _of(environment_name: str, name: str) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace=NAMESPACE,
        metric_name=name,
        dimensions_map={"Environment": environment_name},
        statistic=cloudwatch.Stats.SUM,
        period=PERIOD,
        label=name,
    )
