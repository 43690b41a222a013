"""How long requests wait for CPU: M/M/c, the queue with Poisson arrivals and c servers.

A server is one CPU of a task. Erlang's formula and the waiting time's tail are those of
L. Kleinrock, Queueing Systems I (1975), sections 3.5 and 5.2, and of D. Gross et al., Fundamentals of
Queueing Theory, section 2.3. With one server the mean also holds where CPU is shared in slices instead of
first come, first served, and for any distribution of CPU time (M/G/1-PS).
"""

from __future__ import annotations

import math
from dataclasses import dataclass


def erlang_b(servers: int, offered_load: float) -> float:
    """Probability that all servers are busy where nobody waits; `offered_load` in servers."""
    blocked = 1.0
    for server in range(1, servers + 1):
        blocked = offered_load * blocked / (server + offered_load * blocked)
    return blocked


def erlang_c(servers: int, offered_load: float) -> float:
    """Probability that an arriving request has to wait; 1 where the load is the servers' or more."""
    if offered_load >= servers:
        return 1.0
    blocked = erlang_b(servers, offered_load)
    return blocked / (1 - offered_load / servers * (1 - blocked))


def highest_stationary_utilisation(servers: int, service_time_s: float, period_s: float) -> float:
    """Utilisation up to which a queue settles within `period_s`.

    Above it the stationary formulas speak of waits that no minute is long enough to build up. From the
    relaxation time of M/M/c, service time / (servers × (1 − √utilisation)²); J. W. Cohen, The Single Server
    Queue (1982), section II.2.
    """
    return (1 - min(1.0, math.sqrt(service_time_s / (servers * period_s)))) ** 2


@dataclass(frozen=True, kw_only=True)
class Station:
    """One task seen as a queue: `servers` CPUs, each needing `service_time_s` for a request."""

    servers: int
    service_time_s: float

    @property
    def requests_per_s(self) -> float:
        """Requests a second that keep every CPU busy."""
        return self.servers / self.service_time_s

    def at(self, utilisation: float) -> Sojourn:
        """The time requests spend here at a utilisation below 1."""
        if not 0 <= utilisation < 1:
            raise ValueError(f"a queue settles at a utilisation from 0 to below 1, not at {utilisation}")
        return Sojourn(
            probability_of_waiting=erlang_c(self.servers, utilisation * self.servers),
            service_rate=1 / self.service_time_s,
            departure_rate=self.requests_per_s * (1 - utilisation),
        )


@dataclass(frozen=True, kw_only=True)
class Sojourn:
    """Time from arrival until the CPU work of a request is done, as a distribution; rates per second.

    Its mean, tail and quantiles are in seconds. The wait is 0 or, with `probability_of_waiting`,
    exponential at `departure_rate`; the work is exponential at `service_rate`.
    """

    probability_of_waiting: float
    service_rate: float
    departure_rate: float

    @property
    def mean_wait_s(self) -> float:
        """Mean time before the work begins."""
        return self.probability_of_waiting / self.departure_rate

    @property
    def mean_s(self) -> float:
        """Mean time until the work is done."""
        return self.mean_wait_s + 1 / self.service_rate

    def exceeds(self, time_s: float) -> float:
        """Probability of taking longer than `time_s`."""
        if time_s <= 0:
            return 1.0
        served, departed = self.service_rate, self.departure_rate
        work = math.exp(-served * time_s)
        if math.isclose(served, departed, rel_tol=1e-9):
            after_waiting = (1 + served * time_s) * work
        else:
            after_waiting = (departed * work - served * math.exp(-departed * time_s)) / (departed - served)
        return (1 - self.probability_of_waiting) * work + self.probability_of_waiting * after_waiting

    def quantile_s(self, share: float) -> float:
        """Time within which `share` of the requests are done."""
        high = self.mean_s
        while self.exceeds(high) > 1 - share:
            high *= 2
        low = 0.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if self.exceeds(middle) > 1 - share else (low, middle)
        return high
