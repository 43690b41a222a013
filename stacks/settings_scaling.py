"""Capacity: the section that is changed most often, and by people who do not read Python."""

from __future__ import annotations

import zoneinfo
from typing import Annotated, Literal

from aws_croniter import AwsCroniter
from aws_croniter.exceptions import AwsCroniterExpressionError
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from stacks.settings_section import Section


def _cron(expression: str) -> str:
    fields = expression.removeprefix("cron(").removesuffix(")").split()
    framed = expression.startswith("cron(") and expression.endswith(")")
    if not framed or len(fields) != 6 or [fields[2], fields[4]].count("?") != 1:
        raise _no_cron("it is no cron expression of AWS: six fields, and ? in exactly one of day and weekday")
    try:
        AwsCroniter(" ".join(fields))
    except (AwsCroniterExpressionError, ValueError) as error:
        raise _no_cron(f"it is no cron expression of AWS: {error}") from error
    return expression


def _no_cron(reason: str) -> PydanticCustomError:
    return PydanticCustomError(
        "cron",
        "{reason}",
        {
            "reason": reason,
            "remedy": "write cron(minute hour day month weekday year), e.g. cron(0 7 ? * MON-FRI *)",
        },
    )


def _time_zone(name: str) -> str:
    known = zoneinfo.available_timezones()
    # A machine without a time zone database cannot judge; the file is not wrong for that.
    if known and name not in known:
        raise PydanticCustomError(
            "time_zone", "there is no such time zone", {"remedy": "use an IANA name, e.g. Europe/Berlin"}
        )
    return name


CronExpression = Annotated[str, AfterValidator(_cron)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]


class ScheduledFloor(Section):
    """Sets the minimum number of tasks at a time. It stays until another floor changes it."""

    name: str = Field(
        pattern=r"^[a-z][a-z0-9-]{0,62}$", description="Unique, lower case, words joined by hyphens."
    )
    schedule: CronExpression = Field(description="When, as cron(minute hour day month weekday year).")
    time_zone: TimeZone = Field(
        default="Europe/Berlin",
        pattern=r"^([A-Z][A-Za-z_]+(/[A-Z][A-Za-z_+-]*)+|UTC)$",
        description="IANA time zone of the schedule; daylight saving is followed.",
    )
    tasks_minimum: int = Field(ge=1, le=20, description="Minimum number of tasks from then on.")


class Scaling(Section):
    """How many tasks run, how large they are, when more are started, and how they leave."""

    tasks_minimum: int = Field(
        ge=1,
        le=20,
        description="Tasks that always run. In production at least one per zone, so that a zone may fail.",
    )
    tasks_maximum: int = Field(
        ge=1, le=20, description="Tasks at most; the ceiling of cost. Not below the minimum."
    )
    cpu_target_percent: int = Field(
        ge=10, le=90, description="Average CPU that scaling aims at. Lower reacts earlier and costs more."
    )
    requests_per_task_per_minute: int = Field(
        ge=1,
        le=100_000,
        description="Requests a minute that one task should serve; more starts another task.",
    )
    in_flight_requests_per_task: int = Field(
        ge=1,
        le=10_000,
        description="Requests that one task should be answering at a time; more starts another task. "
        "About requests a second times seconds an answer takes. Follows slow providers and long answers, "
        "which neither CPU nor the rate of requests shows.",
    )
    latency_target_ms: int = Field(
        ge=100,
        le=120_000,
        description="95th percentile of answer time that is still good, providers' time included. Alarms "
        "fire above it.",
    )
    scale_out_cooldown_s: int = Field(ge=0, le=3600, description="Seconds between two steps up.")
    scale_in_cooldown_s: int = Field(
        ge=0,
        le=3600,
        description="Seconds between two steps down. Keep it well above the step up, or tasks flap.",
    )
    task_cpu_units: Literal[256, 512, 1024, 2048, 4096, 8192, 16384] = Field(
        description="CPU of a task, 1024 units are one vCPU. A change replaces all tasks, a few at a time."
    )
    task_memory_mib: int = Field(
        ge=512,
        le=122_880,
        description="Memory of a task in MiB; Fargate offers certain sizes for each CPU size.",
    )
    drain_time_s: int = Field(
        ge=5,
        le=110,
        description="Seconds a leaving task may take to finish its requests. At most 110: ECS kills it after "
        "120. Drives the load balancer's deregistration, the stop timeout and the gateway's shutdown.",
    )
    predictive_scaling: Literal["off", "forecast_only"] = Field(
        default="off",
        description="forecast_only has AWS forecast the tasks of the next two days from the CPU of the last "
        "two weeks, to compare with the floors; it starts and stops nothing.",
    )
    scheduled_floors: tuple[ScheduledFloor, ...] = Field(
        default=(),
        max_length=20,
        description="Minimum number of tasks by the clock: raised before office hours, lowered after.",
    )
