"""Monitoring: who is told when the gateway is not well, and where to look."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from constructs import Construct

from stacks.constructs import flag_metrics
from stacks.constructs.alarm_topic import AlarmTopic
from stacks.constructs.alarms import Alarms, Condition, Severity
from stacks.constructs.gateway_dashboard import GatewayDashboard
from stacks.constructs.gateway_metrics import GatewayMetrics, Watched
from stacks.constructs.rotation_metrics import age_days, failures
from stacks.environment_stack import EnvironmentStack
from stacks.settings import Environment
from stacks.settings_kill_switch import alarm_name

__all__ = ["MonitoringStack", "Watched"]

KILL_SWITCH = "KillSwitch"
"""The function that an alarm calls to stop a provider: whoever waits for it cannot wait for three minutes."""


class MonitoringStack(EnvironmentStack):
    """Owns the alarms, the topic that announces them, and the dashboard. The settings say when one fires."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        watched: Watched,
        kill_switch_topic: sns.ITopic,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            environment=environment,
            description="Alarms and dashboard of the AI gateway",
        )
        self.topic = AlarmTopic(
            self,
            "AlarmTopic",
            email=environment.monitoring.alarm_email,
            removal_policy=self.removal_policy,
        )
        self.alarms = Alarms(
            self,
            "Alarms",
            topic=self.topic,
            evaluation_minutes=environment.monitoring.evaluation_minutes,
        )
        metrics = GatewayMetrics(watched)
        conditions = {
            **_conditions(environment, metrics),
            **_of_secrets(environment, watched.rotated_secrets),
            **_of_flags(environment),
        }
        pulling = environment.kill_switch.pulled_by
        for name, condition in conditions.items():
            alarm = self.alarms.add(
                name, condition, name=alarm_name(environment.name, name) if name in pulling else None
            )
            if name in pulling:
                alarm.add_alarm_action(actions.SnsAction(kill_switch_topic))
        self.dashboard = GatewayDashboard(
            self,
            "Dashboard",
            environment=environment,
            metrics=metrics,
            rotated_secrets=watched.rotated_secrets,
            alarms=self.alarms,
        )


def _conditions(environment: Environment, metrics: GatewayMetrics) -> dict[str, Condition]:
    """Everything somebody is told about, by the alarm's construct id."""
    return {
        **_seen_by_callers(environment, metrics),
        **_of_tasks(environment, metrics),
        **_of_what_the_gateway_relies_on(environment, metrics),
    }


def _of_flags(environment: Environment) -> dict[str, Condition]:
    return {
        "FlagsRefused": Condition(
            metric=flag_metrics.refused(environment.name),
            above=0,
            severity=Severity.WARNING,
            meaning="a flag was put to a value or a step that is not allowed, and was put back",
            once_is_enough=True,
        ),
        "FlagFailures": Condition(
            metric=flag_metrics.failures(environment.name),
            above=0,
            severity=Severity.WARNING,
            meaning="a tier of flags does not take changes; the others do",
            once_is_enough=True,
        ),
    }


def _seen_by_callers(environment: Environment, metrics: GatewayMetrics) -> dict[str, Condition]:
    error_rate_percent = environment.monitoring.error_rate_percent
    latency_target_ms = environment.scaling.latency_target_ms
    return {
        "ErrorRate": Condition(
            metric=metrics.error_rate_percent(),
            above=error_rate_percent,
            severity=Severity.CRITICAL,
            meaning=f"more than {error_rate_percent:g} % of the answers have a 5xx status",
        ),
        "Latency": Condition(
            metric=metrics.latency_s(95),
            above=latency_target_ms / 1000,
            severity=Severity.WARNING,
            meaning=f"one answer in twenty takes longer than {latency_target_ms} ms",
        ),
    }


def _of_tasks(environment: Environment, metrics: GatewayMetrics) -> dict[str, Condition]:
    tasks_minimum = environment.scaling.tasks_minimum
    cpu_alarm_percent = environment.monitoring.cpu_alarm_percent
    return {
        "TasksBelowMinimum": Condition(
            metric=metrics.running_tasks(),
            below=tasks_minimum,
            severity=Severity.CRITICAL,
            meaning=f"fewer than {tasks_minimum} tasks run, or nobody knows how many",
            silence_is_bad=True,
        ),
        "UnhealthyTasks": Condition(
            metric=metrics.unhealthy_tasks(),
            above=0,
            severity=Severity.WARNING,
            meaning="a task fails its health check and gets no requests",
        ),
        "Cpu": Condition(
            metric=metrics.cpu_percent(),
            above=cpu_alarm_percent,
            severity=Severity.WARNING,
            meaning=f"tasks use more than {cpu_alarm_percent} % CPU: scaling is at its maximum or too slow",
        ),
    }


def _of_what_the_gateway_relies_on(environment: Environment, metrics: GatewayMetrics) -> dict[str, Condition]:
    throttles = environment.monitoring.table_throttles_per_minute
    conditions = {
        "RegistryThrottles": Condition(
            metric=metrics.registry_throttles(),
            above=throttles - 1,
            severity=Severity.WARNING,
            meaning=f"the registry turns away {throttles} or more requests a minute",
        ),
        "RegistryErrors": Condition(
            metric=metrics.registry_errors(),
            above=0,
            severity=Severity.WARNING,
            meaning="the registry fails; the gateway goes on with the models it knows",
        ),
    }
    for name, errors in metrics.function_errors().items():
        pulled = name == KILL_SWITCH
        conditions[f"{name}Errors"] = Condition(
            metric=errors,
            above=0,
            severity=Severity.CRITICAL if pulled else Severity.WARNING,
            meaning=f"the function {name} fails",
            once_is_enough=pulled,
        )
    return conditions


def _of_secrets(environment: Environment, secrets: Sequence[str]) -> dict[str, Condition]:
    """For each secret: it grew old, or its rotation failed. Nobody measures means the rotation never runs."""
    maximum_days = environment.secrets.rotation.maximum_age_days
    conditions = {}
    for secret in secrets:
        words = secret.title().replace("-", "")
        conditions[f"{words}Age"] = Condition(
            metric=age_days(environment.name, secret),
            above=maximum_days,
            severity=Severity.WARNING,
            meaning=f"the secret {secret} is older than {maximum_days} days, or nobody measures it",
            silence_is_bad=True,
        )
        conditions[f"{words}Rotation"] = Condition(
            metric=failures(environment.name, secret),
            above=0,
            severity=Severity.WARNING,
            meaning=f"a rotation of the secret {secret} failed; the value before goes on",
            once_is_enough=True,
        )
    return conditions
