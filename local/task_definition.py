"""What ECS would run: read from the emulated ECS, without deciding anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from local.aws import CLIENT_CONFIG, Account


class TaskError(Exception):
    """A task that cannot be run as defined; names the definition, the reason and the remedy."""


@dataclass(frozen=True)
class HealthCheck:
    """A container's health check. Defaults: the ECS API reference, HealthCheck."""

    command: tuple[str, ...]
    interval_s: float = 30
    timeout_s: float = 5
    retries: int = 3
    start_period_s: float = 0


@dataclass(frozen=True)
class Task:
    """The one container of a service's task definition."""

    definition_arn: str
    container: str
    image: str
    entry_point: tuple[str, ...]
    command: tuple[str, ...]
    working_directory: str | None
    environment: Mapping[str, str]
    secrets: Mapping[str, str]
    role_arn: str
    stop_timeout_s: float
    health_check: HealthCheck | None


_DEFAULT_STOP_TIMEOUT_S = 30.0


def read_task(account: Account, cluster: str, service: str) -> Task:
    """The task definition a service runs now.

    Raises:
        TaskError: no such service, or a definition with other than one essential container.
    """
    ecs = account.session().client("ecs", endpoint_url=account.endpoint_url, config=CLIENT_CONFIG)
    services = ecs.describe_services(cluster=cluster, services=[service])["services"]
    if not services:
        raise TaskError(f"Cluster {cluster} has no service {service}: deploy again with `make down up`.")
    arn = services[0]["taskDefinition"]
    definition = ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]
    containers = [one for one in definition["containerDefinitions"] if one.get("essential", True)]
    if len(containers) != 1:
        names = [one["name"] for one in containers]
        raise TaskError(f"{arn} has the essential containers {names}: the task runner runs exactly one.")
    container = containers[0]
    return Task(
        definition_arn=arn,
        container=container["name"],
        image=container["image"],
        entry_point=tuple(container.get("entryPoint") or ()),
        command=tuple(container.get("command") or ()),
        working_directory=container.get("workingDirectory"),
        environment={one["name"]: one["value"] for one in container.get("environment", [])},
        secrets={one["name"]: one["valueFrom"] for one in container.get("secrets", [])},
        role_arn=definition.get("taskRoleArn", ""),
        stop_timeout_s=float(container.get("stopTimeout") or _DEFAULT_STOP_TIMEOUT_S),
        health_check=_health_check(container.get("healthCheck")),
    )


def _health_check(check: Mapping[str, object] | None) -> HealthCheck | None:
    if not check:
        return None
    given = {
        "interval_s": check.get("interval"),
        "timeout_s": check.get("timeout"),
        "retries": check.get("retries"),
        "start_period_s": check.get("startPeriod"),
    }
    command = tuple(str(word) for word in check["command"])  # type: ignore[attr-defined]
    return HealthCheck(command, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
