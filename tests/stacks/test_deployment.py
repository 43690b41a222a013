"""How the gateway's tasks are replaced, under each strategy, and how they stop."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from gateway import server
from lambdas.smoke_test.handler import Settings as SmokeTestSettings
from stacks.constructs.smoke_test import PATIENCE_S, TIMEOUT_S
from stacks.settings import Environment, ReleaseStrategy
from stacks.validation import judge
from tests.stacks.synthesis import (
    ROOT,
    Properties,
    Resource,
    Synthesis,
    build_environment,
    load_environment,
    new_app,
    synthesise,
)

STACK = "Gateway"
LOAD_BALANCING = "AWS::ElasticLoadBalancingV2"
SHIFTING = [strategy for strategy in ReleaseStrategy if strategy.shifts_traffic]
LONGEST_STOP_S = 120
"""What Fargate allows, https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html"""


def with_release(name: str, **values: object) -> Environment:
    environment = load_environment(name)
    return environment.model_copy(update={"release": environment.release.model_copy(update=values)})


@pytest.fixture(scope="module")
def shifting(tmp_path_factory: pytest.TempPathFactory) -> Callable[[ReleaseStrategy], Synthesis]:
    """Production under a strategy that shifts traffic, with a forecast beside it."""

    @cache
    def once(strategy: ReleaseStrategy) -> Synthesis:
        environment = with_release("production", strategy=strategy)
        scaling = environment.scaling.model_copy(update={"predictive_scaling": "forecast_only"})
        environment = environment.model_copy(update={"scaling": scaling})
        return synthesise(environment, tmp_path_factory.mktemp("release") / strategy)

    return once


@pytest.fixture(params=SHIFTING)
def shifted(request: pytest.FixtureRequest, shifting: Callable[[ReleaseStrategy], Synthesis]) -> Synthesis:
    return shifting(request.param)


def deployment(synthesis: Synthesis) -> Properties:
    configuration: Properties = synthesis.only("AWS::ECS::Service", STACK)["DeploymentConfiguration"]
    return configuration


def attributes(properties: Properties, key: str) -> dict[str, str]:
    return {entry["Key"]: entry["Value"] for entry in properties[key]}


def container(synthesis: Synthesis) -> Properties:
    (definition,) = synthesis.only("AWS::ECS::TaskDefinition", STACK)["ContainerDefinitions"]
    return dict(definition)


def named(synthesis: Synthesis, type_name: str, prefix: str) -> Resource:
    (found,) = [one for one in synthesis.resources(type_name, STACK) if one.logical_id.startswith(prefix)]
    return found


def statements(synthesis: Synthesis, role_prefix: str) -> list[dict[str, Any]]:
    role = named(synthesis, "AWS::IAM::Role", role_prefix)
    return [
        statement
        for one in synthesis.resources("AWS::IAM::Policy", STACK)
        if one.properties["Roles"] == [{"Ref": role.logical_id}]
        for statement in one.properties["PolicyDocument"]["Statement"]
    ]


def as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


# ---- every strategy ----


def fails_safely(synthesis: Synthesis) -> None:
    configuration = deployment(synthesis)
    strategy = configuration["Strategy"]
    breaker, alarms = configuration.get("DeploymentCircuitBreaker"), configuration.get("Alarms")
    assert breaker == {"Enable": True, "Rollback": True}, (
        f"{strategy}: no circuit breaker takes back a deployment whose tasks do not start, but {breaker}"
    )
    watched = alarms["AlarmNames"] if alarms else []
    declared = {one.logical_id for one in synthesis.resources("AWS::CloudWatch::Alarm", STACK)}
    assert alarms == {"Enable": True, "Rollback": True, "AlarmNames": watched}, (
        f"{strategy}: no alarm takes back a deployment, but {alarms}"
    )
    assert {name["Ref"] for name in watched} == declared, f"{strategy}: not all deployment alarms are watched"
    assert configuration["MinimumHealthyPercent"] == 100, f"{strategy}: a deployment loses tasks"


def test_a_failing_deployment_is_rolled_back_without_losing_a_task(every_environment: Synthesis) -> None:
    fails_safely(every_environment)


def test_a_failing_shift_is_rolled_back_without_losing_a_task(shifted: Synthesis) -> None:
    fails_safely(shifted)


def test_every_declared_environment_rolls(every_environment: Synthesis) -> None:
    configuration = deployment(every_environment)
    assert configuration["Strategy"] == "ROLLING"
    assert not {"BakeTimeInMinutes", "LifecycleHooks", "CanaryConfiguration"} & set(configuration)


def test_a_deploy_never_resets_the_number_of_tasks(every_environment: Synthesis) -> None:
    service = every_environment.only("AWS::ECS::Service", STACK)
    assert "DesiredCount" not in service, f"DesiredCount = {service.get('DesiredCount')} would reset scaling"


def test_no_strategy_resets_the_number_of_tasks(shifted: Synthesis) -> None:
    assert "DesiredCount" not in shifted.only("AWS::ECS::Service", STACK)


def test_tasks_are_spread_over_every_zone_and_spread_again(every_environment: Synthesis) -> None:
    service = every_environment.only("AWS::ECS::Service", STACK)
    subnets = service["NetworkConfiguration"]["AwsvpcConfiguration"]["Subnets"]
    zones = every_environment.environment.deployment.availability_zones
    assert len({json.dumps(subnet) for subnet in subnets}) == len(zones)
    rebalancing = service["AvailabilityZoneRebalancing"]
    assert rebalancing == "ENABLED", (
        f"zone rebalancing is {rebalancing}: tasks stay where a lost zone left them"
    )


def test_production_always_has_a_task_in_every_zone(production: Synthesis) -> None:
    target = production.only("AWS::ApplicationAutoScaling::ScalableTarget", STACK)
    assert target["MinCapacity"] >= len(production.environment.deployment.availability_zones)


# ---- the alarms that undo a deployment ----


def alarm_metrics(alarm: Properties) -> set[str]:
    if "MetricName" in alarm:
        return {alarm["MetricName"]}
    return {
        query["MetricStat"]["Metric"]["MetricName"] for query in alarm["Metrics"] if "MetricStat" in query
    }


def test_errors_unhealthy_tasks_and_slow_answers_undo_a_deployment(every_environment: Synthesis) -> None:
    environment = every_environment.environment
    alarms = {
        one.logical_id.removeprefix("DeploymentAlarms")[:-8]: one.properties
        for one in every_environment.resources("AWS::CloudWatch::Alarm", STACK)
    }
    thresholds = {name: alarm["Threshold"] for name, alarm in alarms.items()}
    assert thresholds == {
        "ErrorRate": environment.monitoring.error_rate_percent,
        "UnhealthyTasks": 0,
        "Latency": environment.scaling.latency_target_ms / 1000,
    }, "the alarms that undo a deployment are not the declared ones, or not at the settings' thresholds"
    assert {name: alarm_metrics(alarm) for name, alarm in alarms.items()} == {
        "ErrorRate": {"HTTPCode_Target_5XX_Count", "HTTPCode_ELB_5XX_Count", "RequestCount"},
        "UnhealthyTasks": {"UnHealthyHostCount"},
        "Latency": {"TargetResponseTime"},
    }
    assert alarms["Latency"]["ExtendedStatistic"] == "p95"
    for alarm in alarms.values():
        assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
        assert alarm["TreatMissingData"] == "notBreaching"


def test_an_alarm_can_fire_while_the_deployment_it_undoes_is_still_watched(shifted: Synthesis) -> None:
    watched_minutes = deployment(shifted)["BakeTimeInMinutes"]
    for alarm in shifted.resources("AWS::CloudWatch::Alarm", STACK):
        assert alarm.properties["EvaluationPeriods"] + 2 <= watched_minutes


def test_the_new_tasks_are_judged_by_their_own_answers(shifted: Synthesis) -> None:
    """At 5 % of the traffic a canary that only fails is 5 % of all errors, but all of its own."""
    groups = {one.logical_id for one in shifted.resources(f"{LOAD_BALANCING}::TargetGroup", STACK)}
    for alarm in shifted.resources("AWS::CloudWatch::Alarm", STACK):
        text = json.dumps(alarm.properties["Metrics"])
        assert len(groups) == 2
        assert {group for group in groups if group in text} == groups
        (judged,) = [query for query in alarm.properties["Metrics"] if query.get("ReturnData", True)]
        assert judged["Expression"] == "MAX([a0, b0])"


# ---- strategies that shift traffic ----


def test_canary_shifts_a_share_first_and_then_bakes(shifting: Callable[[ReleaseStrategy], Synthesis]) -> None:
    configuration = deployment(shifting(ReleaseStrategy.CANARY))
    assert configuration["Strategy"] == "CANARY"
    assert configuration["CanaryConfiguration"] == {"CanaryPercent": 5, "CanaryBakeTimeInMinutes": 10}
    assert configuration["BakeTimeInMinutes"] == 10


def test_blue_green_shifts_everything_and_then_bakes(
    shifting: Callable[[ReleaseStrategy], Synthesis],
) -> None:
    configuration = deployment(shifting(ReleaseStrategy.BLUE_GREEN))
    assert configuration["Strategy"] == "BLUE_GREEN"
    assert "CanaryConfiguration" not in configuration
    assert configuration["BakeTimeInMinutes"] == 10


def test_the_settings_say_how_much_and_how_long(tmp_path: Path) -> None:
    environment = with_release(
        "development",
        strategy=ReleaseStrategy.CANARY,
        canary_percent=20,
        canary_minutes=30,
        bake_minutes=60,
    )
    configuration = deployment(synthesise(environment, tmp_path))
    assert configuration["CanaryConfiguration"] == {"CanaryPercent": 20, "CanaryBakeTimeInMinutes": 30}
    assert configuration["BakeTimeInMinutes"] == 60


def test_ecs_moves_traffic_between_two_groups_that_treat_tasks_alike(shifted: Synthesis) -> None:
    (balancer,) = shifted.only("AWS::ECS::Service", STACK)["LoadBalancers"]
    groups = {one.logical_id: one for one in shifted.resources(f"{LOAD_BALANCING}::TargetGroup", STACK)}
    advanced = balancer["AdvancedConfiguration"]
    assert {balancer["TargetGroupArn"]["Ref"], advanced["AlternateTargetGroupArn"]["Ref"]} == set(groups)
    assert len({json.dumps(one.properties, sort_keys=True) for one in groups.values()}) == 1


def test_the_rules_that_ecs_rewrites_follow_from_no_setting(
    shifted: Synthesis, shifting: Callable[[ReleaseStrategy], Synthesis], tmp_path: Path
) -> None:
    """CloudFormation would reset the weights of a rule whose text changes, in the middle of production."""
    environment = load_environment("production")
    changed = with_release(
        "production",
        strategy=shifted.environment.release.strategy,
        canary_percent=33,
        canary_minutes=44,
        bake_minutes=55,
    )
    changed = changed.model_copy(
        update={
            "scaling": environment.scaling.model_copy(update={"tasks_minimum": 4, "drain_time_s": 60}),
            "gateway": environment.gateway.model_copy(update={"log_level": "DEBUG"}),
            "monitoring": environment.monitoring.model_copy(update={"error_rate_percent": 7.0}),
        }
    )
    other = synthesise(changed, tmp_path)

    def rules(synthesis: Synthesis) -> dict[str, Properties]:
        return {
            one.logical_id: one.properties
            for one in synthesis.resources(f"{LOAD_BALANCING}::ListenerRule", STACK)
        }

    assert rules(shifted) == rules(other), "a setting changes a rule: its deployment would reset the traffic"
    assert rules(shifted) == rules(shifting(SHIFTING[0]))
    weights = {
        position: [group["Weight"] for group in rule["Actions"][0]["ForwardConfig"]["TargetGroups"]]
        for position, rule in rules(shifted).items()
    }
    assert list(weights.values()) == [[100, 0], [100, 0]]
    for rule in rules(shifted).values():
        assert rule["Conditions"] == [
            {"Field": "path-pattern", "PathPatternConfig": {"Values": ["/v1/*", "/health/*"]}}
        ]


def test_a_rolling_service_shares_no_rule_with_one_that_shifts(
    production: Synthesis, shifted: Synthesis
) -> None:
    def rules(synthesis: Synthesis) -> set[str]:
        return {one.logical_id for one in synthesis.resources(f"{LOAD_BALANCING}::ListenerRule", STACK)}

    assert len(rules(production)) == 1
    assert rules(production) & rules(shifted) == set()


def test_ecs_may_move_traffic_between_these_groups_and_no_others(shifted: Synthesis) -> None:
    where = {
        action: as_list(statement["Resource"])
        for statement in statements(shifted, "TrafficShiftRole")
        for action in as_list(statement["Action"])
    }
    groups = {one.logical_id for one in shifted.resources(f"{LOAD_BALANCING}::TargetGroup", STACK)}
    rules = {one.logical_id for one in shifted.resources(f"{LOAD_BALANCING}::ListenerRule", STACK)}
    for action in ("RegisterTargets", "DeregisterTargets"):
        assert {arn["Ref"] for arn in where[f"elasticloadbalancing:{action}"]} == groups
    assert {arn["Ref"] for arn in where["elasticloadbalancing:ModifyRule"]} == rules
    everywhere = [action for action, resources in where.items() if "*" in resources]
    assert all(action.startswith("elasticloadbalancing:Describe") for action in everywhere)


def test_monitoring_watches_the_tasks_of_both_sides(shifted: Synthesis) -> None:
    groups = {one.logical_id for one in shifted.resources(f"{LOAD_BALANCING}::TargetGroup", STACK)}
    (alarm,) = [
        one.properties
        for one in shifted.resources("AWS::CloudWatch::Alarm", "Monitoring")
        if one.logical_id.startswith("AlarmsUnhealthyTasks")
    ]
    looked_at = [query for query in alarm["Metrics"] if "MetricStat" in query]
    assert {query["MetricStat"]["Metric"]["MetricName"] for query in looked_at} == {"UnHealthyHostCount"}
    assert len({json.dumps(query["MetricStat"]) for query in looked_at}) == len(groups) == 2


# ---- the smoke test ----


def test_ecs_asks_the_smoke_test_before_callers_get_new_tasks(shifted: Synthesis) -> None:
    hooks = deployment(shifted).get("LifecycleHooks")
    function = named(shifted, "AWS::Lambda::Function", "SmokeTest")
    role = named(shifted, "AWS::IAM::Role", "SmokeTestHookRole")
    assert hooks, "no smoke test stands between new tasks and their callers"
    assert hooks == [
        {
            "HookTargetArn": {"Fn::GetAtt": [function.logical_id, "Arn"]},
            "RoleArn": {"Fn::GetAtt": [role.logical_id, "Arn"]},
            "LifecycleStages": ["POST_TEST_TRAFFIC_SHIFT"],
        }
    ]


def test_ecs_may_run_the_smoke_test(shifted: Synthesis) -> None:
    function = named(shifted, "AWS::Lambda::Function", "SmokeTest")
    role = named(shifted, "AWS::IAM::Role", "SmokeTestHookRole")
    (trust,) = role.properties["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "ecs.amazonaws.com"}
    granted = statements(shifted, "SmokeTestHookRole")
    assert [(as_list(one["Action"]), one["Resource"]) for one in granted] == [
        (["lambda:InvokeFunction"], {"Fn::GetAtt": [function.logical_id, "Arn"]})
    ], "the hook's role may not run the smoke test: every deployment would be rolled back"


def test_the_service_waits_for_the_permissions_that_its_deployment_needs(shifted: Synthesis) -> None:
    (service,) = shifted.resources("AWS::ECS::Service", STACK)
    needed = {
        named(shifted, "AWS::IAM::Policy", prefix).logical_id
        for prefix in ("TrafficShiftRole", "SmokeTestHookRole", "SmokeTestRole", "TaskRole")
    }
    assert needed <= set(service.body["DependsOn"])


def test_the_smoke_test_runs_in_the_network_against_the_test_listener(shifted: Synthesis) -> None:
    function = named(shifted, "AWS::Lambda::Function", "SmokeTest").properties
    listener = named(shifted, f"{LOAD_BALANCING}::Listener", "FrontDoorLoadBalancerTest")
    (balancer,) = shifted.resources(f"{LOAD_BALANCING}::LoadBalancer", STACK)
    assert function["Environment"]["Variables"]["TEST_URL"] == {
        "Fn::Join": [
            "",
            ["http://", {"Fn::GetAtt": [balancer.logical_id, "DNSName"]}, ":8443"],
        ]
    }
    assert listener.properties["Port"] == 8443
    zones = shifted.environment.deployment.availability_zones
    assert len(function["VpcConfig"]["SubnetIds"]) == len(zones)
    assert function["Timeout"] == TIMEOUT_S > PATIENCE_S


def test_the_smoke_test_is_told_what_it_reads(shifted: Synthesis) -> None:
    function = named(shifted, "AWS::Lambda::Function", "SmokeTest").properties
    told = function["Environment"]["Variables"]
    contract = (ROOT / "docs" / "contracts.md").read_text()
    assert SmokeTestSettings.read(dict.fromkeys(told, "1"))
    assert [name for name in told if f"`{name}`" not in contract] == []


def test_with_a_certificate_the_smoke_test_speaks_tls(tmp_path: Path) -> None:
    environment = with_release("development", strategy=ReleaseStrategy.BLUE_GREEN)
    certificate = "arn:aws:acm:eu-central-1:111111111111:certificate/0000-1111"
    gateway = environment.gateway.model_copy(update={"certificate_arn": certificate})
    synthesis = synthesise(environment.model_copy(update={"gateway": gateway}), tmp_path)
    function = named(synthesis, "AWS::Lambda::Function", "SmokeTest").properties
    protocols = [
        one.properties["Protocol"] for one in synthesis.resources(f"{LOAD_BALANCING}::Listener", STACK)
    ]
    assert function["Environment"]["Variables"]["TEST_URL"]["Fn::Join"][1][0] == "https://"
    assert protocols == ["HTTPS", "HTTPS"]


def test_only_the_smoke_test_reaches_the_test_listener(shifted: Synthesis) -> None:
    group = named(shifted, "AWS::EC2::SecurityGroup", "SmokeTestSecurityGroup")
    inline = [
        rule
        for one in shifted.resources("AWS::EC2::SecurityGroup", STACK)
        for rule in one.properties.get("SecurityGroupIngress", [])
    ]
    ingress = [one.properties for one in shifted.resources("AWS::EC2::SecurityGroupIngress", STACK)]
    reaching = [rule for rule in [*inline, *ingress] if rule["FromPort"] <= 8443 <= rule["ToPort"]]
    assert [rule["SourceSecurityGroupId"] for rule in reaching] == [
        {"Fn::GetAtt": [group.logical_id, "GroupId"]}
    ]


def test_the_smoke_test_reaches_new_tasks_and_endpoints_and_no_internet(shifted: Synthesis) -> None:
    group = named(shifted, "AWS::EC2::SecurityGroup", "SmokeTestSecurityGroup")
    apart = [
        one.properties
        for one in shifted.resources("AWS::EC2::SecurityGroupEgress", STACK)
        if one.properties["GroupId"] == {"Fn::GetAtt": [group.logical_id, "GroupId"]}
    ]
    outward = [*group.properties.get("SecurityGroupEgress", []), *apart]
    assert {(rule["FromPort"], rule["ToPort"]) for rule in outward} == {(443, 443), (8443, 8443)}
    assert "0.0.0.0/0" not in json.dumps(outward)


def test_the_smoke_test_may_read_the_client_key_and_nothing_else(shifted: Synthesis) -> None:
    allowed = [one for one in statements(shifted, "SmokeTestRole") if one["Effect"] == "Allow"]
    granted = {action: one["Resource"] for one in allowed for action in as_list(one["Action"])}
    assert set(granted) == {
        "secretsmanager:GetSecretValue",
        "kms:Decrypt",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:AssignPrivateIpAddresses",
        "ec2:UnassignPrivateIpAddresses",
    }
    assert "ClientKeys" in json.dumps(granted["secretsmanager:GetSecretValue"])
    assert "AdminKeys" not in json.dumps(granted)
    assert {action for action, resource in granted.items() if resource == "*"} == {
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:DeleteNetworkInterface",
        "ec2:AssignPrivateIpAddresses",
        "ec2:UnassignPrivateIpAddresses",
    }


def test_the_smoke_test_writes_a_log_of_its_own_that_is_encrypted_and_forgets(shifted: Synthesis) -> None:
    log = named(shifted, "AWS::Logs::LogGroup", "SmokeTestLogs")
    function = named(shifted, "AWS::Lambda::Function", "SmokeTest").properties
    assert function["LoggingConfig"]["LogGroup"] == {"Ref": log.logical_id}
    assert "KmsKeyId" in log.properties
    assert log.properties["RetentionInDays"] == shifted.environment.gateway.log_retention_days


@pytest.mark.parametrize("strategy", SHIFTING)
def test_a_strategy_that_shifts_passes_every_rule(strategy: ReleaseStrategy, tmp_path: Path) -> None:
    """The declared environments roll, so `make check` never judges these templates."""
    environment = with_release("production", strategy=strategy)
    app = new_app(tmp_path, validated=True)
    build_environment(app, environment)
    judge(app, environment)
    app.synth()


def test_a_strategy_that_shifts_is_known_to_the_regions(shifted: Synthesis) -> None:
    linter = Path(sys.executable).parent / "cfn-lint"
    template = shifted.directory / "Gateway.template.json"
    regions = ("eu-central-1", "eu-west-1")
    command = [str(linter), "--regions", *regions, "--non-zero-exit-code", "informational", "--template"]
    judged = subprocess.run([*command, str(template)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stdout


# ---- stopping ----


def stops_in_agreement(synthesis: Synthesis) -> None:
    """Each wait ends only after the one inside it: gateway < SIGKILL, answers < idle < keep-alive."""
    drain_time_s = synthesis.environment.scaling.drain_time_s
    told = {entry["Name"]: entry["Value"] for entry in container(synthesis)["Environment"]}
    assert int(told["DRAIN_TIME_S"]) == drain_time_s, "the gateway is told another drain time"
    for group in synthesis.resources(f"{LOAD_BALANCING}::TargetGroup", STACK):
        delay_s = int(
            attributes(group.properties, "TargetGroupAttributes")["deregistration_delay.timeout_seconds"]
        )
        assert delay_s == drain_time_s, (
            f"deregistration delay of {group.logical_id}: {delay_s} s, but the drain takes {drain_time_s} s"
        )
    stop_timeout_s = container(synthesis)["StopTimeout"]
    needed_s = drain_time_s + server.SHUTDOWN_S
    assert needed_s < stop_timeout_s <= LONGEST_STOP_S, (
        f"stop timeout: {stop_timeout_s} s, but draining and exiting take {needed_s} s"
    )
    balancer = synthesis.only(f"{LOAD_BALANCING}::LoadBalancer", STACK)
    idle_s = int(attributes(balancer, "LoadBalancerAttributes")["idle_timeout.timeout_seconds"])
    assert idle_s >= drain_time_s, (
        f"idle timeout: {idle_s} s, but an answer under way may be silent for the drain of {drain_time_s} s"
    )
    assert idle_s < server.KEEP_ALIVE_S, (
        f"idle timeout: {idle_s} s, but the gateway closes an idle connection after {server.KEEP_ALIVE_S} s"
    )


def test_everything_that_waits_for_the_end_agrees(every_environment: Synthesis) -> None:
    stops_in_agreement(every_environment)


def test_everything_agrees_behind_both_target_groups(shifted: Synthesis) -> None:
    stops_in_agreement(shifted)


@pytest.mark.parametrize("drain_time_s", [5, 37, 110])
def test_one_setting_drives_every_wait(drain_time_s: int, tmp_path: Path) -> None:
    environment = load_environment("development")
    scaling = environment.scaling.model_copy(update={"drain_time_s": drain_time_s})
    stops_in_agreement(synthesise(environment.model_copy(update={"scaling": scaling}), tmp_path))
