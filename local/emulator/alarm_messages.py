"""The messages of alarms as CloudWatch sends them: with the alarm's ARN, and times with a zone."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any


def complete() -> None:
    """Complete every message that an alarm sends to a topic.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html
    """
    from ministack.services import cloudwatch, sns

    dispatch = cloudwatch._dispatch_alarm_actions

    def dispatch_completely(alarm: dict[str, Any], *change: object) -> None:
        fanout = sns._fanout

        def complete_and_fan_out(topic: str, message_id: str, message: str, subject: str) -> None:
            moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"
            told = json.loads(message) | {"AlarmArn": alarm.get("AlarmArn", ""), "StateChangeTime": moment}
            fanout(topic, message_id, json.dumps(told), subject)

        sns._fanout = complete_and_fan_out
        try:
            dispatch(alarm, *change)
        finally:
            sns._fanout = fanout

    cloudwatch._dispatch_alarm_actions = dispatch_completely
