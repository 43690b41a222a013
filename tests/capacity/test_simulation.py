"""The simulated service against queueing theory and against what every service must obey."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capacity.queueing import Station
from capacity.simulation import simulate
from capacity.target_tracking import PERIOD_S
from capacity.traffic import Duration, Minute, Traffic
from tests.capacity.sections import ANSWER, MONDAY, TASK, run, section, task


@pytest.mark.parametrize(
    ("processes", "vcpu", "utilisation"), [(1, 1.0, 0.5), (1, 1.0, 0.85), (2, 2.0, 0.7), (4, 4.0, 0.9)]
)
def test_under_steady_load_every_task_is_the_queue_of_the_theory(
    processes: int, vcpu: float, utilisation: float
) -> None:
    tasks = 3
    of = task(processes=processes, vcpu=vcpu)
    rate = utilisation * tasks * processes * 1000
    steady = run([rate] * 10, of=of, tasks_minimum=tasks, tasks_maximum=tasks, cpu_target_percent=90)
    theory = Station(servers=processes, service_time_s=0.001).at(utilisation)
    last = steady.outcomes[-1]
    assert last.cpu_percent == pytest.approx(100 * utilisation, rel=0.05)
    assert last.waiting_requests == pytest.approx(rate * theory.mean_wait_s, rel=0.05)
    assert last.added_p95_ms == pytest.approx(1000 * theory.quantile_s(0.95), rel=0.05)
    assert last.throttled_requests == 0


def test_the_answer_takes_the_providers_time_plus_the_time_for_cpu() -> None:
    steady = run([1000] * 5, tasks_minimum=2, tasks_maximum=2).outcomes[-1]
    assert steady.p95_ms == pytest.approx(ANSWER.p95_ms + 2.0, rel=0.0001)


def test_where_cpu_takes_as_long_as_the_provider_the_percentile_is_that_of_the_sum() -> None:
    slow = run(
        [1.0] * 5, of=task(cpu_s_per_request=0.5), answer=Duration(100, 400), tasks_minimum=1, tasks_maximum=1
    )
    last = slow.outcomes[-1]
    # Half busy: CPU alone is exponential with mean 1 s, its p95 3.0 s.
    assert 2996 < last.p95_ms < 2996 + 400


def test_in_flight_requests_follow_littles_law() -> None:
    steady = run([1000] * 5, tasks_minimum=4, tasks_maximum=4).outcomes[-1]
    assert steady.in_flight_per_task == pytest.approx(1000 * (ANSWER.mean_ms + 1.33) / 1000 / 4, rel=0.01)


def test_overload_piles_up_to_the_longest_wait_and_throttles_the_rest() -> None:
    swamped = run([3000] * 3, tasks_minimum=2, tasks_maximum=2)
    first, second, _ = swamped.outcomes
    most_waiting = 2 * 1000 * 5
    assert first.throttled_requests == pytest.approx((3000 - 2000) * PERIOD_S - most_waiting)
    assert second.throttled_requests == pytest.approx((3000 - 2000) * PERIOD_S)
    assert second.p95_ms >= 5000 + ANSWER.p95_ms
    assert second.cpu_percent == pytest.approx(100)


def test_a_backlog_is_worked_off_when_load_falls() -> None:
    outcomes = run([2100, 1000, 1000], tasks_minimum=2, tasks_maximum=2).outcomes
    assert outcomes[0].waiting_requests > 1000
    assert outcomes[2].waiting_requests < 2


def test_half_a_vcpu_serves_half_as_much() -> None:
    half = run([400] * 3, of=task(vcpu=0.5), tasks_minimum=1, tasks_maximum=1).outcomes[-1]
    assert half.cpu_percent == pytest.approx(80)
    assert half.added_p95_ms == pytest.approx(
        1000 * Station(servers=1, service_time_s=0.002).at(0.8).quantile_s(0.95)
    )


def test_a_second_vcpu_is_of_no_use_to_one_process() -> None:
    large = run([1500] * 3, of=task(vcpu=2.0), tasks_minimum=1, tasks_maximum=1).outcomes[-1]
    assert large.cpu_percent == pytest.approx(50)
    assert large.throttled_requests > 0


def test_a_burst_is_answered_by_new_tasks_five_minutes_later() -> None:
    outcomes = run([800] * 20 + [1800] * 15).outcomes
    serving = [outcome.tasks_in_service for outcome in outcomes]
    # Three datapoints, one minute until the third can be seen, one minute for the tasks to start.
    assert serving[:25] == [2] * 25
    assert serving[25] == 4


def test_scaling_in_takes_its_time_and_drains() -> None:
    outcomes = run([1900] * 30 + [400] * 60, tasks_maximum=10).outcomes
    assert outcomes[29].tasks_in_service == 4
    falls = [n for n in range(1, 90) if outcomes[n].tasks_desired < outcomes[n - 1].tasks_desired]
    assert falls[0] == 30 + 15  # fifteen datapoints, the last a minute old
    assert falls[1] - falls[0] == 7  # the drain and the cool-down, judged once a minute
    assert outcomes[falls[0] + 1].tasks_paid == 4  # a draining task is paid for
    assert outcomes[-1].tasks_desired == 2


def test_a_plan_begins_in_the_steady_state_of_its_first_minute() -> None:
    outcomes = run([1900] * 5).outcomes
    assert [outcome.tasks_in_service for outcome in outcomes] == [4] * 5


def test_slow_providers_alone_bring_more_tasks() -> None:
    quick, slow = Duration(1000, 2000), Duration(4000, 8000)
    minutes = [Minute(300, quick)] * 20 + [Minute(300, slow)] * 15
    scaling = section(in_flight_requests_per_task=400)
    outcomes = simulate(scaling, TASK, Traffic(name="test", start=MONDAY, minutes=minutes)).outcomes
    assert outcomes[19].tasks_in_service == 2
    assert outcomes[-1].tasks_in_service == 4
    assert outcomes[24].deciding_key == "scaling.in_flight_requests_per_task"
    assert outcomes[-1].in_flight_per_task == pytest.approx(300 * slow.mean_ms / 1000 / 4, rel=0.001)


@settings(max_examples=40, deadline=None)
@given(
    rates=st.lists(st.floats(0, 30_000), min_size=2, max_size=60),
    minimum=st.integers(1, 5),
    target=st.integers(10, 90),
    cooldowns=st.tuples(st.integers(0, 200), st.integers(200, 600)),
)
def test_whatever_comes_bounds_hold_and_nothing_gets_lost(
    rates: list[float], minimum: int, target: int, cooldowns: tuple[int, int]
) -> None:
    changes: dict[str, Any] = {
        "tasks_minimum": minimum,
        "tasks_maximum": 12,
        "cpu_target_percent": target,
        "scale_out_cooldown_s": cooldowns[0],
        "scale_in_cooldown_s": cooldowns[1],
    }
    simulated = run(rates, **changes)
    scaling = section(**changes)
    for rate, outcome in zip(rates, simulated.outcomes, strict=True):
        assert scaling.tasks_minimum <= outcome.tasks_desired <= scaling.tasks_maximum
        assert 1 <= outcome.tasks_in_service <= scaling.tasks_maximum
        assert outcome.tasks_paid >= outcome.tasks_in_service
        assert 0 <= outcome.cpu_percent <= 100.0001
        assert -1e-6 <= outcome.throttled_requests <= rate * PERIOD_S + 12 * 5000
        assert outcome.p95_ms >= ANSWER.p95_ms


def test_the_same_input_gives_the_same_outcome() -> None:
    rates = [500 + 37 * (n % 29) for n in range(120)]
    assert run(rates).outcomes == run(rates).outcomes
