"""Composite alarms, which the emulator's CloudWatch evaluates and its CloudFormation lacks."""

from __future__ import annotations

from typing import Any

from local.emulator.handlers import Properties, Provisioned, handler, physical_name
from local.emulator.service_calls import call

_PASSED_ON = (
    "AlarmRule",
    "AlarmDescription",
    "AlarmActions",
    "OKActions",
    "InsufficientDataActions",
    "ActionsSuppressor",
)
_PERIODS = ("ActionsSuppressorWaitPeriod", "ActionsSuppressorExtensionPeriod")


def _put(name: str, properties: Properties) -> Provisioned:
    call(
        "cloudwatch",
        "PutCompositeAlarm",
        AlarmName=name,
        ActionsEnabled=str(properties.get("ActionsEnabled", True)).lower() == "true",
        **{key: properties[key] for key in _PASSED_ON if key in properties},
        **{key: int(properties[key]) for key in _PERIODS if key in properties},
    )
    alarms = call("cloudwatch", "DescribeAlarms", AlarmNames=[name], AlarmTypes=["CompositeAlarm"])
    return name, {"Arn": alarms["CompositeAlarms"][0]["AlarmArn"]}


def _create(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    return _put(properties.get("AlarmName") or physical_name(stack_name, logical_id), properties)


def _update(
    physical_id: str, _old: Properties, new: Properties, _stack_name: str, _logical_id: str
) -> Provisioned:
    return _put(physical_id, new)


def _delete(physical_id: str, _properties: Properties) -> None:
    call("cloudwatch", "DeleteAlarms", AlarmNames=[physical_id])


def handlers() -> dict[str, dict[str, Any]]:
    """Handlers by resource type."""
    return {"AWS::CloudWatch::CompositeAlarm": handler(_create, _delete, _update)}
