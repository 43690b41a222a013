"""The Monitoring stack: who is told what, when, and where to look."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sns as sns

from stacks.constructs.alarm_topic import AlarmTopic
from stacks.constructs.alarms import Alarms, Condition, Severity
from tests.stacks.synthesis import Synthesis, new_app


def alarm(synthesis: Synthesis, name: str) -> dict[str, Any]:
    (found,) = [
        resource.properties
        for resource in synthesis.resources("AWS::CloudWatch::Alarm", "Monitoring")
        if resource.logical_id.startswith(f"Alarms{name}")
    ]
    return found


def alarms(synthesis: Synthesis) -> list[dict[str, Any]]:
    found = [resource.properties for resource in synthesis.resources("AWS::CloudWatch::Alarm", "Monitoring")]
    assert found
    return found


def metric_names(properties: dict[str, Any]) -> set[str]:
    if "MetricName" in properties:
        return {properties["MetricName"]}
    return {
        metric["MetricStat"]["Metric"]["MetricName"]
        for metric in properties["Metrics"]
        if "MetricStat" in metric
    }


def test_errors_are_counted_whoever_gives_them_and_held_to_the_settings(every_environment: Synthesis) -> None:
    errors = alarm(every_environment, "ErrorRate")

    assert metric_names(errors) == {
        "HTTPCode_Target_5XX_Count",
        "HTTPCode_ELB_5XX_Count",
        "RequestCount",
    }
    assert errors["Threshold"] == every_environment.environment.monitoring.error_rate_percent
    assert errors["ComparisonOperator"] == "GreaterThanThreshold"


def test_latency_is_held_to_the_target_of_the_scaling_section(every_environment: Synthesis) -> None:
    latency = alarm(every_environment, "Latency")

    assert latency["Threshold"] == every_environment.environment.scaling.latency_target_ms / 1000
    assert latency["Metrics"][0]["MetricStat"]["Stat"] == "p95"
    assert metric_names(latency) == {"TargetResponseTime"}


def test_too_few_tasks_are_critical_and_so_is_not_knowing(every_environment: Synthesis) -> None:
    tasks = alarm(every_environment, "TasksBelowMinimum")

    assert tasks["Threshold"] == every_environment.environment.scaling.tasks_minimum
    assert tasks["ComparisonOperator"] == "LessThanThreshold"
    assert tasks["TreatMissingData"] == "breaching"
    assert tasks["AlarmDescription"].startswith("critical: ")


def test_a_task_that_fails_its_health_check_is_noticed(production: Synthesis) -> None:
    unhealthy = alarm(production, "UnhealthyTasks")

    assert metric_names(unhealthy) == {"UnHealthyHostCount"}
    assert unhealthy["Threshold"] == 0


def test_cpu_above_what_scaling_should_hold_is_noticed(every_environment: Synthesis) -> None:
    cpu = alarm(every_environment, "Cpu")

    assert metric_names(cpu) == {"CPUUtilization"}
    assert cpu["Threshold"] > every_environment.environment.scaling.cpu_target_percent


def test_a_registry_that_throttles_or_fails_is_noticed(production: Synthesis) -> None:
    assert metric_names(alarm(production, "RegistryThrottles")) == {
        "ReadThrottleEvents",
        "WriteThrottleEvents",
    }
    assert metric_names(alarm(production, "RegistryErrors")) == {"SystemErrors"}


def test_a_function_that_fails_is_noticed(production: Synthesis) -> None:
    functions = [properties for properties in alarms(production) if metric_names(properties) == {"Errors"}]

    assert functions
    assert all(properties["Threshold"] == 0 for properties in functions)


def test_every_alarm_is_announced_when_it_comes_and_when_it_goes(every_environment: Synthesis) -> None:
    for properties in alarms(every_environment):
        fired = properties["AlarmActions"][0]
        assert fired["Ref"].startswith("AlarmTopic")
        assert properties["OKActions"] == [fired]


def test_every_alarm_names_its_severity_and_needs_three_bad_minutes_of_five(production: Synthesis) -> None:
    for properties in alarms(production):
        text = json.dumps(properties)
        every_five_minutes = "AiOrchestration/Rotation" in text or "AiOrchestration/Flags" in text
        once = "Failures" in text or "Refused" in text or "function KillSwitch" in text
        enough = 1 if once else 3
        assert properties["AlarmDescription"].split(": ")[0] in set(Severity)
        assert (properties["DatapointsToAlarm"], properties["EvaluationPeriods"]) == (enough, 5)
        assert all(
            metric["MetricStat"]["Period"] == (300 if every_five_minutes else 60)
            for metric in properties.get("Metrics", ())
            if "MetricStat" in metric
        )


@pytest.mark.parametrize("secret", ["client-keys", "admin-keys", "google"])
def test_a_secret_that_grows_old_or_whose_rotation_fails_is_an_alarm(
    production: Synthesis, secret: str
) -> None:
    of_secret = {}
    for properties in alarms(production):
        measured = [
            metric["MetricStat"] for metric in properties.get("Metrics", ()) if "MetricStat" in metric
        ]
        if {"Name": "Secret", "Value": secret} in measured[0]["Metric"].get("Dimensions", ()):
            of_secret[measured[0]["Metric"]["MetricName"]] = (properties, measured[0])
    (age, of_age), (failures, of_failures) = of_secret["AgeDays"], of_secret["Failures"]

    for measured in (of_age, of_failures):
        assert measured["Metric"]["Namespace"] == "AiOrchestration/Rotation"
        assert {"Name": "Environment", "Value": "production"} in measured["Metric"]["Dimensions"]
    assert (age["Threshold"], age["ComparisonOperator"]) == (120, "GreaterThanThreshold")
    assert age["TreatMissingData"] == "breaching"
    assert (failures["Threshold"], failures["ComparisonOperator"]) == (0, "GreaterThanThreshold")
    assert (of_failures["Stat"], failures["TreatMissingData"]) == ("Sum", "notBreaching")


def test_announcements_are_encrypted_and_only_this_accounts_alarms_make_them(production: Synthesis) -> None:
    (key,) = production.resources("AWS::KMS::Key", "Monitoring")
    (topic,) = production.resources("AWS::SNS::Topic", "Monitoring")
    policy = production.only("AWS::SNS::TopicPolicy", "Monitoring")

    assert topic.properties["KmsMasterKeyId"] == {"Fn::GetAtt": [key.logical_id, "Arn"]}
    for document in (policy["PolicyDocument"], key.properties["KeyPolicy"]):
        (alarms,) = [entry for entry in document["Statement"] if "Service" in entry["Principal"]]
        assert alarms["Principal"]["Service"] == "cloudwatch.amazonaws.com"
        assert alarms["Condition"] == {"StringEquals": {"aws:SourceAccount": "333333333333"}}
    assert any(
        entry["Effect"] == "Deny" and "aws:SecureTransport" in json.dumps(entry["Condition"])
        for entry in policy["PolicyDocument"]["Statement"]
    )


@pytest.mark.parametrize("email", ["on-call@example.com", None])
def test_alarms_are_mailed_where_the_settings_name_an_address(tmp_path: Path, email: str | None) -> None:
    stack = cdk.Stack(new_app(tmp_path), "Stack")
    AlarmTopic(stack, "Topic", email=email, removal_policy=cdk.RemovalPolicy.DESTROY)

    subscribed = [
        resource["Properties"]["Endpoint"]
        for resource in cdk.assertions.Template.from_stack(stack).to_json()["Resources"].values()
        if resource["Type"] == "AWS::SNS::Subscription"
    ]

    assert subscribed == ([email] if email else [])


def test_the_dashboard_shows_what_the_alarms_watch_and_their_thresholds(production: Synthesis) -> None:
    body = json.dumps(production.only("AWS::CloudWatch::Dashboard", "Monitoring")["DashboardBody"])

    for resource in production.resources("AWS::CloudWatch::Alarm", "Monitoring"):
        assert resource.logical_id in body
        assert all(name in body for name in metric_names(resource.properties))
    assert str(production.environment.scaling.latency_target_ms // 1000) in body
    assert "target of p95" in body


class TestMakingAlarms:
    @pytest.fixture
    def alarms(self, tmp_path: Path) -> Alarms:
        stack = cdk.Stack(new_app(tmp_path), "Stack")
        return Alarms(stack, "Alarms", topic=sns.Topic(stack, "Topic"), evaluation_minutes=5)

    def condition(self, *, above: float = 1, label: str = "Errors") -> Condition:
        metric = cloudwatch.Metric(namespace="Test", metric_name="Errors", label=label)
        return Condition(metric=metric, above=above, severity=Severity.WARNING, meaning="it fails")

    def test_the_same_measurement_and_threshold_alarm_only_once(self, alarms: Alarms) -> None:
        first = alarms.add("First", self.condition())
        second = alarms.add("Second", self.condition(label="drawn otherwise"))

        assert first is second
        assert alarms.all == [first]

    def test_another_threshold_is_another_alarm(self, alarms: Alarms) -> None:
        alarms.add("First", self.condition(above=1))
        alarms.add("Second", self.condition(above=2))

        assert len(alarms.all) == 2

    @pytest.mark.parametrize("bounds", [{}, {"above": 1.0, "below": 2.0}])
    def test_a_condition_has_exactly_one_bound(self, bounds: dict[str, float]) -> None:
        metric = cloudwatch.Metric(namespace="Test", metric_name="Errors")

        with pytest.raises(ValueError, match="either `above` or `below`"):
            Condition(metric=metric, severity=Severity.WARNING, meaning="it fails", **bounds)  # type: ignore[arg-type]
