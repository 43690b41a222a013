"""CloudWatch alarms beyond the emulator's CloudFormation: composite ones, and those over metric math.

The emulator evaluates composite alarms. One over metric math is recorded and stays without data.
"""

from __future__ import annotations

from typing import Any

from ministack.services.cloudformation import provisioners

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


_NATIVE = provisioners._RESOURCE_HANDLERS["AWS::CloudWatch::Alarm"]


def _put_metric_alarm(name: str, properties: Properties) -> Provisioned:
    call("cloudwatch", "PutMetricAlarm", **_typed(properties) | {"AlarmName": name})
    alarm = call("cloudwatch", "DescribeAlarms", AlarmNames=[name])["MetricAlarms"][0]
    return name, {"Arn": alarm["AlarmArn"]}


def _typed(properties: Properties) -> dict[str, Any]:
    """As the API takes it: a threshold with a fraction, and no tags only CloudFormation may set."""
    typed = dict(properties)
    typed["Tags"] = [tag for tag in properties.get("Tags", []) if not tag["Key"].startswith("aws:")]
    if "Threshold" in typed:
        typed["Threshold"] = float(typed["Threshold"])
    return typed


def _create_metric_alarm(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    if "Metrics" not in properties:
        created: Provisioned = _NATIVE["create"](logical_id, properties, stack_name)
        return created
    name = properties.get("AlarmName") or physical_name(stack_name, logical_id, 255)
    return _put_metric_alarm(name, properties)


def _update_metric_alarm(
    physical_id: str, old: Properties, new: Properties, stack_name: str, logical_id: str
) -> Provisioned:
    if "Metrics" not in new:
        updated: Provisioned = _NATIVE["update"](physical_id, old, new, stack_name, logical_id)
        return updated
    return _put_metric_alarm(physical_id, new)


def handlers() -> dict[str, dict[str, Any]]:
    """Handlers by resource type."""
    return {
        "AWS::CloudWatch::CompositeAlarm": handler(_create, _delete, _update),
        "AWS::CloudWatch::Alarm": handler(_create_metric_alarm, _NATIVE["delete"], _update_metric_alarm),
    }
