"""ECS task definitions, registered with all that their templates say.

The native handler drops nested members such as the health check's.
"""

from __future__ import annotations

from typing import Any

from local.emulator.handlers import Properties, Provisioned, handler, physical_name
from local.emulator.member_names import api_form
from local.emulator.service_calls import call

_DATA = frozenset({"Options", "DockerLabels", "DriverOpts", "Labels"})
"""Members whose own keys are data, not names of the API."""


def _create(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    request = {"family": physical_name(stack_name, logical_id, 255)} | api_form(dict(properties), data=_DATA)
    definition = call("ecs", "RegisterTaskDefinition", **request)["taskDefinition"]
    arn = definition["taskDefinitionArn"]
    return arn, {"TaskDefinitionArn": arn}


def _delete(physical_id: str, _properties: Properties) -> None:
    call("ecs", "DeregisterTaskDefinition", taskDefinition=physical_id)


def handlers() -> dict[str, dict[str, Any]]:
    """Handlers by resource type."""
    return {"AWS::ECS::TaskDefinition": handler(_create, _delete)}
