"""The planner's queue is the one of queueing theory, and a simulated queue agrees with it."""

import heapq
import math
import random
from collections.abc import Iterator

import pytest

from capacity.queueing import Station, erlang_b, erlang_c, highest_stationary_utilisation

SERVICE_TIME_S = 0.001


def simulated_times(station: Station, utilisation: float, *, requests: int) -> Iterator[tuple[float, float]]:
    """Wait and sojourn, in seconds, of requests that arrive at random: first come, first served."""
    chance = random.Random(20261121)  # noqa: S311 - a simulation
    free_at = [0.0] * station.servers
    now = 0.0
    for number in range(requests):
        now += chance.expovariate(station.requests_per_s * utilisation)
        begin = max(now, heapq.heappop(free_at))
        end = begin + chance.expovariate(1 / station.service_time_s)
        heapq.heappush(free_at, end)
        if number >= requests // 10:  # the queue has filled by then
            yield begin - now, end - now


@pytest.mark.parametrize(("servers", "utilisation"), [(1, 0.8), (2, 0.7), (4, 0.7)])
def test_a_simulated_queue_agrees_with_the_formulas_within_five_percent(
    servers: int, utilisation: float
) -> None:
    station = Station(servers=servers, service_time_s=SERVICE_TIME_S)
    expected = station.at(utilisation)
    waits, sojourns = zip(*simulated_times(station, utilisation, requests=250_000), strict=True)
    count = len(waits)
    assert sum(wait > 0 for wait in waits) / count == pytest.approx(expected.probability_of_waiting, rel=0.05)
    assert sum(waits) / count == pytest.approx(expected.mean_wait_s, rel=0.05)
    assert sum(sojourns) / count == pytest.approx(expected.mean_s, rel=0.05)
    assert sorted(sojourns)[int(0.95 * count)] == pytest.approx(expected.quantile_s(0.95), rel=0.05)


@pytest.mark.parametrize(
    ("servers", "offered_load", "waits"),
    [(1, 0.5, 0.5), (2, 1.0, 1 / 3), (5, 4.0, 0.5541), (10, 8.0, 0.4092)],
)
def test_erlang_c_has_the_values_of_the_published_tables(
    servers: int, offered_load: float, waits: float
) -> None:
    assert erlang_c(servers, offered_load) == pytest.approx(waits, abs=0.0001)


def test_erlang_b_has_the_value_of_the_published_tables() -> None:
    assert erlang_b(10, 5.0) == pytest.approx(0.0184, abs=0.0001)


def test_whoever_arrives_at_a_full_house_waits() -> None:
    assert erlang_c(4, 4.0) == 1.0
    assert erlang_c(4, 9.0) == 1.0


def test_with_one_server_the_time_is_exponential() -> None:
    sojourn = Station(servers=1, service_time_s=SERVICE_TIME_S).at(0.8)
    assert sojourn.mean_s == pytest.approx(SERVICE_TIME_S / 0.2)
    assert sojourn.quantile_s(0.95) == pytest.approx(-math.log(0.05) * SERVICE_TIME_S / 0.2)


def test_an_idle_task_takes_the_service_time() -> None:
    sojourn = Station(servers=2, service_time_s=SERVICE_TIME_S).at(0.0)
    assert sojourn.mean_s == pytest.approx(SERVICE_TIME_S)
    assert sojourn.mean_wait_s == 0


def test_equal_rates_of_serving_and_leaving_are_no_special_case_to_the_reader() -> None:
    # One of two servers' worth of work is left over: both rates are the same.
    station = Station(servers=2, service_time_s=1.0)
    assert station.at(0.5).exceeds(1.0) == pytest.approx(station.at(0.5000001).exceeds(1.0), rel=1e-5)


def test_a_full_station_never_settles() -> None:
    with pytest.raises(ValueError, match="below 1, not at 1"):
        Station(servers=1, service_time_s=SERVICE_TIME_S).at(1.0)


def test_the_shorter_the_work_the_fuller_a_station_may_be_and_still_settle_within_a_minute() -> None:
    quick = highest_stationary_utilisation(1, 0.001, 60)
    slow = highest_stationary_utilisation(1, 0.1, 60)
    assert slow < quick < 1
    relaxation_time_s = 0.001 / (1 - math.sqrt(quick)) ** 2
    assert relaxation_time_s == pytest.approx(60)
