"""When scheduled floors change the minimum number of tasks.

The cron expressions are AWS's own dialect (weekdays 1–7 from Sunday, `L`, `W`, `#`, a year), read in the
floor's time zone. A scheduled action sets the minimum and leaves it there:
https://docs.aws.amazon.com/autoscaling/application/userguide/scheduled-scaling-policy-overview.html
"""

from __future__ import annotations

import datetime
import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass

from aws_croniter import AwsCroniter

from capacity.errors import CapacityError
from stacks.settings import Scaling, ScheduledFloor


@dataclass(frozen=True, kw_only=True)
class FloorChange:
    """From `at` on, at least `tasks_minimum` tasks; `position` is the floor's place in the settings."""

    at: datetime.datetime
    tasks_minimum: int
    position: int


def floor_changes(
    scaling: Scaling, *, start: datetime.datetime, end: datetime.datetime
) -> Sequence[FloorChange]:
    """Every change from `start` to `end`, in order; before them the last one that came earlier, if any."""
    changes = sorted(
        (
            FloorChange(at=at, tasks_minimum=floor.tasks_minimum, position=position)
            for position, floor in enumerate(scaling.scheduled_floors)
            for at in _occurrences(floor, start=start, end=end)
        ),
        key=lambda change: (change.at, change.position),
    )
    earlier = [change for change in changes if change.at < start]
    return [*earlier[-1:], *(change for change in changes if change.at >= start)]


def _occurrences(
    floor: ScheduledFloor, *, start: datetime.datetime, end: datetime.datetime
) -> list[datetime.datetime]:
    zone = _zone(floor)
    expression = floor.schedule.removeprefix("cron(").removesuffix(")")
    schedule = AwsCroniter(" ".join(expression.split()))
    # The library computes in UTC: the wall clock is handed over as if it were UTC and given its zone after.
    earlier = schedule.get_prev(_wall_clock(start, zone), n=1)
    within = schedule.get_all_schedule_bw_dates(_wall_clock(start, zone), _wall_clock(end, zone))
    walls = [at for at in (*earlier, *within) if at is not None]
    return [at for wall in walls if (at := wall.replace(tzinfo=zone).astimezone(datetime.UTC)) < end]


def _wall_clock(at: datetime.datetime, zone: zoneinfo.ZoneInfo) -> datetime.datetime:
    return at.astimezone(zone).replace(tzinfo=datetime.UTC)


def _zone(floor: ScheduledFloor) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(floor.time_zone)
    except zoneinfo.ZoneInfoNotFoundError as error:
        raise CapacityError(
            f'scaling.scheduled_floors "{floor.name}": time_zone = {floor.time_zone}',
            why="this machine knows no such time zone",
            fix="use an IANA name, e.g. Europe/Berlin; where none is known install the package tzdata",
        ) from error
