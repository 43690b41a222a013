"""The one place where alarms are made, so that all of them decide and announce alike."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from constructs import Construct


class Severity(StrEnum):
    """How soon somebody has to look."""

    CRITICAL = "critical"
    """Callers notice: look now."""
    WARNING = "warning"
    """Callers do not notice yet: look today."""


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What is wrong, in the words the alarm announces.

    The alarm fires where `metric` is above `above`, or below `below`; exactly one of them is set.
    `silence_is_bad` says what no data means, `once_is_enough` that a single bad measurement is.
    """

    metric: cloudwatch.IMetric
    severity: Severity
    meaning: str
    above: float | None = None
    below: float | None = None
    silence_is_bad: bool = False
    once_is_enough: bool = False

    def __post_init__(self) -> None:
        if (self.above is None) == (self.below is None):
            raise ValueError(f"{self.meaning!r} needs either `above` or `below`, and not both.")

    @property
    def threshold(self) -> float:
        """The value that must be crossed."""
        return self.above if self.above is not None else self.below or 0.0


class Alarms(Construct):
    """Makes alarms that look at `evaluation_minutes` and fire when three in five of them were bad.

    What is measured less often is looked at for as many measurements.
    Asking twice for the same measurement and threshold gives the same alarm: nobody is told twice.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, topic: sns.ITopic, evaluation_minutes: int
    ) -> None:
        super().__init__(scope, construct_id)
        self._announce = actions.SnsAction(topic)
        self._evaluation_minutes = evaluation_minutes
        self._by_condition: dict[str, cloudwatch.Alarm] = {}

    @property
    def all(self) -> list[cloudwatch.Alarm]:
        """Every alarm made so far, in the order of making."""
        return list(self._by_condition.values())

    def add(self, construct_id: str, condition: Condition, *, name: str | None = None) -> cloudwatch.Alarm:
        """The alarm for `condition`, made where there is none yet; AWS names it unless `name` is given."""
        identity = self._identity(condition)
        if identity not in self._by_condition:
            self._by_condition[identity] = self._make(construct_id, condition, name)
        return self._by_condition[identity]

    def _make(self, construct_id: str, condition: Condition, name: str | None) -> cloudwatch.Alarm:
        too_high = condition.above is not None
        operator = cloudwatch.ComparisonOperator
        missing = cloudwatch.TreatMissingData
        alarm = cloudwatch.Alarm(
            self,
            construct_id,
            alarm_name=name,
            metric=condition.metric,
            threshold=condition.threshold,
            comparison_operator=operator.GREATER_THAN_THRESHOLD if too_high else operator.LESS_THAN_THRESHOLD,
            evaluation_periods=self._evaluation_minutes,
            datapoints_to_alarm=1
            if condition.once_is_enough
            else math.ceil(self._evaluation_minutes * 3 / 5),
            treat_missing_data=missing.BREACHING if condition.silence_is_bad else missing.NOT_BREACHING,
            alarm_description=f"{condition.severity}: {condition.meaning}",
        )
        alarm.add_alarm_action(self._announce)
        alarm.add_ok_action(self._announce)
        return alarm

    def _identity(self, condition: Condition) -> str:
        measurement = cdk.Stack.of(self).resolve(_description_of(condition.metric))
        return json.dumps([measurement, condition.above, condition.below], sort_keys=True)


def _description_of(metric: cloudwatch.IMetric) -> Mapping[str, object]:
    """What a metric measures, without how it is drawn."""
    config = metric.to_metric_config()
    if config.metric_stat is not None:
        stat = config.metric_stat
        dimensions = {dimension.name: dimension.value for dimension in stat.dimensions or ()}
        return {
            "namespace": stat.namespace,
            "name": stat.metric_name,
            "dimensions": dimensions,
            "statistic": stat.statistic,
        }
    assert config.math_expression is not None  # noqa: S101 - a metric is one or the other
    expression = config.math_expression
    parts = {name: _description_of(part) for name, part in expression.using_metrics.items()}
    return {"expression": expression.expression, "parts": parts}
