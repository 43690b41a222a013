"""Which alarms turn a kill switch on by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from stacks.settings_section import Section

PullingAlarm = Literal[
    "Cpu",
    "ErrorRate",
    "Latency",
    "RegistryErrors",
    "RegistryThrottles",
    "TasksBelowMinimum",
    "UnhealthyTasks",
]
"""Alarms of the Monitoring stack that look at the gateway, by their construct ids."""

Target = Literal["all", "bedrock", "google", "llama"]
"""What a kill switch stops."""


def alarm_name(environment_name: str, alarm: str) -> str:
    """What an alarm is called that turns a switch on: the function must know it before the alarm is made."""
    return f"ai-orchestration-{environment_name}-{alarm}"


class KillSwitch(Section):
    """Kill switches that alarms turn on. Only operators turn one off again."""

    pulled_by: Mapping[PullingAlarm, Target] = Field(
        default_factory=dict,
        description='Alarm → what it stops while nobody looks, e.g. { ErrorRate = "all" }. Empty: no alarm '
        "does. A stopped provider stays stopped until an operator revives it, also when the alarm has ended.",
    )
