"""How the number of tasks follows the load and the clock."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.telemetry import in_flight
from stacks.settings import ReleaseStrategy
from tests.stacks.synthesis import ROOT, Properties, Synthesis, load_environment, synthesise

STACK = "Gateway"
POLICY = "AWS::ApplicationAutoScaling::ScalingPolicy"


def policies(synthesis: Synthesis) -> dict[str, Properties]:
    """Target-tracking policies by what they look at."""
    found = {}
    for resource in synthesis.resources(POLICY, STACK):
        if resource.properties["PolicyType"] == "TargetTrackingScaling":
            policy = resource.properties["TargetTrackingScalingPolicyConfiguration"]
            found[looks_at(policy)] = policy
    return found


def looks_at(policy: Properties) -> str:
    if "PredefinedMetricSpecification" in policy:
        return str(policy["PredefinedMetricSpecification"]["PredefinedMetricType"])
    metric = policy["CustomizedMetricSpecification"]
    return str(metric.get("MetricName") or metric["Metrics"][-1]["Id"])


def follows_the_settings(synthesis: Synthesis, *, requests: str) -> None:
    scaling = synthesis.environment.scaling
    assert {name: policy["TargetValue"] for name, policy in policies(synthesis).items()} == {
        "ECSServiceAverageCPUUtilization": scaling.cpu_target_percent,
        requests: scaling.requests_per_task_per_minute,
        "InFlightRequests": scaling.in_flight_requests_per_task,
    }
    for policy in policies(synthesis).values():
        assert policy["ScaleOutCooldown"] == scaling.scale_out_cooldown_s
        assert policy["ScaleInCooldown"] == scaling.scale_in_cooldown_s


def test_scaling_follows_the_settings(every_environment: Synthesis) -> None:
    scaling = every_environment.environment.scaling
    target = every_environment.only("AWS::ApplicationAutoScaling::ScalableTarget", STACK)
    assert (target["MinCapacity"], target["MaxCapacity"]) == (scaling.tasks_minimum, scaling.tasks_maximum)
    follows_the_settings(every_environment, requests="ALBRequestCountPerTarget")


def test_scaling_looks_at_the_figure_that_the_gateway_publishes(every_environment: Synthesis) -> None:
    metric = policies(every_environment)["InFlightRequests"]["CustomizedMetricSpecification"]
    container: dict[str, Any] = every_environment.only("AWS::ECS::TaskDefinition", STACK)[
        "ContainerDefinitions"
    ][0]
    told = {entry["Name"]: entry["Value"] for entry in container["Environment"]}
    assert metric == {
        "Namespace": in_flight.NAMESPACE,
        "MetricName": in_flight.METRIC,
        "Dimensions": [{"Name": in_flight.DIMENSION, "Value": told["ENVIRONMENT"]}],
        "Statistic": "Average",
    }, "scaling does not look at what the gateway publishes"
    assert container["LogConfiguration"]["LogDriver"] == "awslogs"


def test_the_published_figure_is_in_the_contract() -> None:
    contract = (ROOT / "docs" / "contracts.md").read_text()
    for name in (in_flight.NAMESPACE, in_flight.METRIC, in_flight.DIMENSION):
        assert f"`{name}`" in contract


def test_the_task_needs_no_permission_to_publish_it(every_environment: Synthesis) -> None:
    policies_of_the_stack = [one.properties for one in every_environment.resources("AWS::IAM::Policy", STACK)]
    assert "cloudwatch:" not in json.dumps(policies_of_the_stack)


@pytest.mark.parametrize("strategy", [one for one in ReleaseStrategy if one.shifts_traffic])
def test_requests_count_on_whichever_side_they_are(strategy: ReleaseStrategy, tmp_path: Path) -> None:
    environment = load_environment("production")
    release = environment.release.model_copy(update={"strategy": strategy})
    synthesis = synthesise(environment.model_copy(update={"release": release}), tmp_path)
    follows_the_settings(synthesis, requests="requests")
    *sides, total = policies(synthesis)["requests"]["CustomizedMetricSpecification"]["Metrics"]
    groups = [
        one.logical_id for one in synthesis.resources("AWS::ElasticLoadBalancingV2::TargetGroup", STACK)
    ]
    looked_at = [side["MetricStat"]["Metric"]["Dimensions"][0]["Value"]["Fn::GetAtt"][0] for side in sides]
    assert sorted(looked_at) == sorted(groups)
    assert total["Expression"] == "FILL(side0, 0) + FILL(side1, 0)"
    assert [query["ReturnData"] for query in (*sides, total)] == [False, False, True]


def test_no_environment_forecasts_unless_it_says_so(every_environment: Synthesis) -> None:
    predictive = [
        one
        for one in every_environment.resources(POLICY, STACK)
        if one.properties["PolicyType"] == "PredictiveScaling"
    ]
    wanted = every_environment.environment.scaling.predictive_scaling == "forecast_only"
    assert bool(predictive) == wanted


def test_a_forecast_starts_and_stops_nothing(tmp_path: Path) -> None:
    environment = load_environment("production")
    scaling = environment.scaling.model_copy(update={"predictive_scaling": "forecast_only"})
    synthesis = synthesise(environment.model_copy(update={"scaling": scaling}), tmp_path)
    (policy,) = [
        one.properties
        for one in synthesis.resources(POLICY, STACK)
        if one.properties["PolicyType"] == "PredictiveScaling"
    ]
    forecast = policy["PredictiveScalingPolicyConfiguration"]
    assert forecast["Mode"] == "ForecastOnly", f"mode {forecast['Mode']} would start and stop tasks"
    assert forecast["MetricSpecifications"] == [
        {
            "TargetValue": scaling.cpu_target_percent,
            "PredefinedMetricPairSpecification": {"PredefinedMetricType": "ECSServiceCPUUtilization"},
        }
    ]
    follows_the_settings(synthesis, requests="ALBRequestCountPerTarget")


def test_floors_by_the_clock_keep_their_time_zone(production: Synthesis) -> None:
    target = production.only("AWS::ApplicationAutoScaling::ScalableTarget", STACK)
    floors = production.environment.scaling.scheduled_floors
    assert floors
    assert target["ScheduledActions"] == [
        {
            "ScheduledActionName": floor.name,
            "Schedule": floor.schedule,
            "Timezone": floor.time_zone,
            "ScalableTargetAction": {"MinCapacity": floor.tasks_minimum},
        }
        for floor in floors
    ]
