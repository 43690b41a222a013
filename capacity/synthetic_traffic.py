"""The week that is planned with where no traffic is given: office hours, one burst, one flash crowd.

* Monday to Friday the load rises from 07:00 to 09:30, dips at lunch, falls from 16:30 to 20:00; nights keep
  4 % of the peak, weekends 12 % with a bump in the afternoon.
* Tuesday 10:00, the burst: 1.8 times the load, reached within five minutes, for twenty minutes.
* Thursday 14:00, the flash crowd: three times the load from one minute to the next, for ten minutes, then it
  halves every five minutes.
* Every minute is off by a few percent, from a fixed seed. Answers take 1.5 s, one in twenty more than 4 s.

The peak is that of an ordinary working day; burst and crowd come on top.
"""

from __future__ import annotations

import datetime
import itertools
import math
import random
import zoneinfo
from collections.abc import Iterator

from capacity.traffic import Duration, Minute, Traffic

SEED = 20261116
TIME_ZONE = zoneinfo.ZoneInfo("Europe/Berlin")
MONDAY = datetime.datetime(2026, 11, 16, tzinfo=TIME_ZONE)
MINUTES = 7 * 24 * 60
NOISE = 0.03
ANSWER = Duration(p50_ms=1500, p95_ms=4000)

_WORKING_DAY = ((0, 0.04), (6, 0.04), (7, 0.12), (9.5, 0.95), (11.5, 1.0), (12.5, 0.72), (14, 0.92),
                (16.5, 0.85), (18, 0.4), (20, 0.12), (23, 0.04), (24, 0.04))  # fmt: skip
_WEEKEND_DAY = ((0, 0.04), (8, 0.04), (11, 0.1), (15, 0.12), (19, 0.08), (23, 0.04), (24, 0.04))
"""Share of the peak by the hour; straight lines between."""

BURST_START = 24 * 60 + 10 * 60
BURST_MINUTES = 20
BURST_FACTOR = 1.8
CROWD_START = 3 * 24 * 60 + 14 * 60
CROWD_MINUTES = 10
CROWD_FACTOR = 3.0
"""Starts are minutes after Monday 00:00."""


def synthetic_week(peak_requests_per_s: float) -> Traffic:
    """The documented week at a peak of an ordinary working day."""
    chance = random.Random(SEED)  # noqa: S311 - a repeatable curve, no secret
    return Traffic(
        name=f"synthetic week, peak {peak_requests_per_s:g} requests/s",
        start=MONDAY.astimezone(datetime.UTC),
        minutes=[
            Minute(peak_requests_per_s * share * (1 + chance.uniform(-NOISE, NOISE)), ANSWER)
            for share in _shares()
        ],
    )


def _shares() -> Iterator[float]:
    for minute in range(MINUTES):
        day, minute_of_day = divmod(minute, 24 * 60)
        shape = _WORKING_DAY if day < 5 else _WEEKEND_DAY
        yield _between(shape, minute_of_day / 60) * _burst(minute) * _flash_crowd(minute)


def _between(shape: tuple[tuple[float, float], ...], hour: float) -> float:
    for (from_hour, from_share), (to_hour, to_share) in itertools.pairwise(shape):
        if hour < to_hour:
            return from_share + (to_share - from_share) * (hour - from_hour) / (to_hour - from_hour)
    return shape[-1][1]


def _burst(minute: int) -> float:
    since = minute - BURST_START
    rising, falling = since / 5, (BURST_MINUTES - since) / 5
    return 1 + (BURST_FACTOR - 1) * max(0.0, min(1.0, rising, falling))


def _flash_crowd(minute: int) -> float:
    since = minute - CROWD_START
    if since < 0:
        return 1.0
    return 1 + (CROWD_FACTOR - 1) * math.pow(0.5, max(0, since - CROWD_MINUTES) / 5)
