"""The time a caller waits: the provider's and the time for CPU, added as independent random times."""

from __future__ import annotations

import functools
import math
from statistics import NormalDist

from capacity.queueing import Sojourn
from capacity.traffic import Duration

SHARE = 0.95
_POINTS = tuple(NormalDist().inv_cdf((index + 0.5) / 400) for index in range(400))
_NEGLIGIBLE = 0.01


def p95_ms(duration: Duration, cpu: Sojourn) -> float:
    """95th percentile of the sum, in milliseconds.

    Where CPU takes a hundredth of the provider's time or less, its mean shifts the percentile; else the sum's
    distribution is evaluated.
    """
    mean_ms = 1000 * cpu.mean_s
    if mean_ms <= _NEGLIGIBLE * duration.p95_ms:
        return duration.p95_ms + mean_ms
    return _p95_of_sum_ms(duration, cpu)


@functools.lru_cache(maxsize=4096)
def _p95_of_sum_ms(duration: Duration, cpu: Sojourn) -> float:
    provider_s = [duration.p50_ms * math.exp(duration.sigma * point) / 1000 for point in _POINTS]

    def exceeds(time_s: float) -> float:
        return sum(cpu.exceeds(time_s - spent_s) for spent_s in provider_s) / len(provider_s)

    low, high = 0.0, duration.p95_ms / 1000 + cpu.quantile_s(0.999)
    while exceeds(high) > 1 - SHARE:
        high *= 2
    while high - low > 0.001 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if exceeds(middle) > 1 - SHARE else (low, middle)
    return 1000 * high
