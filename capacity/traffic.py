"""The load a plan is made for, minute by minute."""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

_Z95 = NormalDist().inv_cdf(0.95)

TAIL_RATIO = 2.5
"""Where only the median duration is known, the 95th percentile is taken as this many times it: a declared
guess for streamed and tool-calling answers of large models. The column `p95_ms` replaces it."""


@dataclass(frozen=True, slots=True)
class Duration:
    """How long answers take, provider included, without any wait for CPU: lognormal, from two percentiles."""

    p50_ms: float
    p95_ms: float

    @property
    def sigma(self) -> float:
        """Standard deviation of the logarithm."""
        return math.log(self.p95_ms / self.p50_ms) / _Z95

    @property
    def mean_ms(self) -> float:
        """Mean, always above the median."""
        return self.p50_ms * math.exp(self.sigma**2 / 2)

    def quantile_ms(self, share: float) -> float:
        """The time within which `share` of the answers are complete."""
        return self.p50_ms * math.exp(self.sigma * NormalDist().inv_cdf(share))


@dataclass(frozen=True, slots=True)
class Minute:
    """One minute of load."""

    requests_per_s: float
    duration: Duration


@dataclass(frozen=True)
class Traffic:
    """Consecutive minutes of load from `start` (aware, a whole minute); `name` says where they come from."""

    name: str
    start: datetime.datetime
    minutes: Sequence[Minute]

    def time_of(self, minute: int) -> datetime.datetime:
        """When a minute begins."""
        return self.start + datetime.timedelta(minutes=minute)

    @property
    def end(self) -> datetime.datetime:
        """When the last minute is over."""
        return self.time_of(len(self.minutes))

    @property
    def peak_requests_per_s(self) -> float:
        """The busiest minute's load."""
        return max(minute.requests_per_s for minute in self.minutes)

    @property
    def requests(self) -> float:
        """All requests together."""
        return 60 * sum(minute.requests_per_s for minute in self.minutes)
