"""Scheduled floors happen when AWS would make them happen."""

import datetime

from capacity.floors import floor_changes
from stacks.settings import Scaling
from tests.capacity.sections import run, section


def floors(*schedules: tuple[str, str, int]) -> Scaling:
    return section(
        scheduled_floors=[
            {
                "name": f"floor-{number}",
                "schedule": f"cron({schedule})",
                "time_zone": zone,
                "tasks_minimum": tasks,
            }
            for number, (schedule, zone, tasks) in enumerate(schedules)
        ]
    )


def changes(scaling: Scaling, start: str, end: str) -> list[tuple[str, int]]:
    found = floor_changes(
        scaling,
        start=datetime.datetime.fromisoformat(start).astimezone(datetime.UTC),
        end=datetime.datetime.fromisoformat(end).astimezone(datetime.UTC),
    )
    return [(change.at.strftime("%m-%d %H:%M"), change.tasks_minimum) for change in found]


def test_the_wall_clock_of_the_zone_counts_and_daylight_saving_is_followed() -> None:
    office = floors(("30 6 ? * MON-FRI *", "Europe/Berlin", 6))
    around_the_change = changes(office, "2026-10-23T00:00:00+00:00", "2026-10-28T00:00:00+00:00")
    assert around_the_change == [
        ("10-22 04:30", 6),  # the day before, still in force
        ("10-23 04:30", 6),
        ("10-26 05:30", 6),
        ("10-27 05:30", 6),
    ]


def test_weekdays_are_counted_from_sunday_as_aws_does() -> None:
    named = changes(
        floors(("0 8 ? * 2 *", "UTC", 3)), "2026-11-15T00:00:00+00:00", "2026-11-22T00:00:00+00:00"
    )
    assert named[-1] == ("11-16 08:00", 3)  # a Monday


def test_the_last_change_before_the_traffic_is_still_in_force() -> None:
    pair = floors(("30 6 ? * MON-FRI *", "UTC", 6), ("0 20 ? * MON-FRI *", "UTC", 3))
    assert changes(pair, "2026-11-21T00:00:00+00:00", "2026-11-22T00:00:00+00:00") == [("11-20 20:00", 3)]
    assert changes(pair, "2026-11-20T12:00:00+00:00", "2026-11-20T13:00:00+00:00") == [("11-20 06:30", 6)]


def test_a_schedule_that_is_over_or_has_not_begun_changes_nothing() -> None:
    assert (
        changes(
            floors(("0 8 ? * MON 2031", "UTC", 3)), "2026-11-15T00:00:00+00:00", "2026-11-22T00:00:00+00:00"
        )
        == []
    )


def test_tasks_are_there_one_start_after_their_floor() -> None:
    floor = [{"name": "up", "schedule": "cron(5 0 16 11 ? 2026)", "time_zone": "UTC", "tasks_minimum": 7}]
    serving = [outcome.tasks_in_service for outcome in run([10] * 10, scheduled_floors=floor).outcomes]
    assert serving == [2] * 6 + [7] * 4


def test_a_lowered_floor_lets_scaling_go_down_only_as_far_as_itself() -> None:
    down = [
        {"name": "night", "schedule": "cron(0 20 ? * SUN *)", "time_zone": "UTC", "tasks_minimum": 9},
        {"name": "day", "schedule": "cron(5 0 ? * MON *)", "time_zone": "UTC", "tasks_minimum": 4},
    ]
    outcomes = run([10] * 120, scheduled_floors=down).outcomes
    assert outcomes[0].tasks_in_service == 9
    assert outcomes[10].tasks_in_service == 9  # only scaling in stops tasks
    assert outcomes[-1].tasks_in_service == 4
