"""A circuit opens on what speaks of the other side's health, probes with few calls, and closes again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.control.registry import Provider
from gateway.providers.adapter import FailureKind
from gateway.resilience.circuit import Circuit, CircuitRules, CircuitState
from gateway.resilience.circuits import Circuits

RULES = CircuitRules(jitter=0.0)
KEY = "google#gemini"


def circuit(**changes: float) -> Circuit:
    return Circuit(CircuitRules(**{"jitter": 0.0, **changes}), share=lambda: 0.0)  # type: ignore[arg-type]


def opened_at(breaker: Circuit, now_s: float) -> Circuit:
    for _ in range(3):
        breaker.failed(now_s)
    assert breaker.state(now_s) is CircuitState.OPEN
    return breaker


def test_without_any_traffic_before_two_failures_are_enough() -> None:
    breaker = circuit()
    breaker.failed(1.0)
    assert breaker.state(1.0) is CircuitState.CLOSED
    breaker.failed(1.1)
    assert breaker.state(1.1) is CircuitState.OPEN


def test_a_sudden_death_under_traffic_is_noticed_after_three() -> None:
    breaker = circuit()
    for number in range(1000):
        breaker.succeeded(number / 100, 0.1)
    states = []
    for _ in range(3):
        breaker.failed(10.0)
        states.append(breaker.state(10.0))
    assert states == [CircuitState.CLOSED, CircuitState.CLOSED, CircuitState.OPEN]


def test_a_few_errors_among_answers_open_nothing() -> None:
    breaker = circuit()
    for number in range(1, 1000):
        if number % 10:
            breaker.succeeded(number / 100, 0.1)
        else:
            breaker.failed(number / 100)
    assert breaker.state(10.0) is CircuitState.CLOSED


def test_half_of_the_calls_failing_opens_it_though_no_two_follow_each_other() -> None:
    breaker = circuit()
    for number in range(20):
        breaker.succeeded(number / 10, 0.1)
        breaker.failed(number / 10)
    assert breaker.state(2.0) is CircuitState.OPEN


def test_slow_answers_open_it() -> None:
    breaker = circuit(slow_call_s=5.0)
    for number in range(10):
        breaker.succeeded(number / 10, 6.0)
    assert breaker.state(1.0) is CircuitState.OPEN


def test_failures_that_are_longer_ago_than_the_window_are_forgotten() -> None:
    breaker = circuit(consecutive_failures=1000)
    for _ in range(9):
        breaker.succeeded(0.0, 0.1)
        breaker.failed(0.0)
        breaker.succeeded(0.0, 0.1)
    breaker.failed(100.0)
    assert breaker.state(100.0) is CircuitState.CLOSED


def test_after_the_pause_one_probe_goes_through_at_a_time() -> None:
    breaker = opened_at(circuit(), 0.0)
    assert not breaker.acquire(1.9)
    assert breaker.acquire(2.0)
    assert not breaker.acquire(2.0)
    breaker.succeeded(2.1, 0.1)
    assert breaker.state(2.1) is CircuitState.CLOSED
    assert breaker.acquire(2.1)
    assert breaker.acquire(2.1)


def test_each_failed_probe_doubles_the_pause_up_to_the_longest() -> None:
    breaker = opened_at(circuit(), 0.0)
    now_s, pauses = 0.0, []
    for _ in range(6):
        pauses.append(breaker.retry_after_s(now_s))
        now_s += pauses[-1]
        assert breaker.acquire(now_s)
        breaker.failed(now_s)
    assert pauses == [2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_a_probe_that_ends_without_a_verdict_makes_room_for_another() -> None:
    breaker = opened_at(circuit(), 0.0)
    assert breaker.acquire(2.0)
    breaker.abandoned()
    assert breaker.acquire(2.0)


def test_a_probe_that_is_lost_does_not_block_for_ever() -> None:
    breaker = opened_at(circuit(), 0.0)
    assert breaker.acquire(2.0)
    assert not breaker.acquire(131.9)
    assert breaker.acquire(132.0)


def test_an_answer_to_a_call_from_before_does_not_close_it() -> None:
    breaker = opened_at(circuit(), 0.0)
    breaker.succeeded(0.5, 0.1)
    assert breaker.state(0.5) is CircuitState.OPEN


def test_replicas_do_not_probe_together() -> None:
    pauses = set()
    for share in (0.0, 0.5, 1.0):
        breaker = Circuit(CircuitRules(), share=lambda share=share: share)  # type: ignore[misc]
        pauses.add(opened_at(breaker, 0.0).retry_after_s(0.0))
    assert pauses == {2.0, 1.8, 1.6}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["acquire", "succeed", "fail", "abandon"]),
            st.floats(0.0, 3.0, allow_nan=False),
        ),
        max_size=200,
    )
)
def test_it_always_comes_back_and_never_lets_two_probes_through(steps: list[tuple[str, float]]) -> None:
    breaker = circuit()
    now_s, probing = 0.0, False
    for step, passed_s in steps:
        now_s += passed_s
        before = breaker.state(now_s)
        if step == "acquire":
            if breaker.acquire(now_s) and before is CircuitState.HALF_OPEN:
                assert not probing
                probing = True
        elif step == "abandon":
            breaker.abandoned()
            probing = False
        else:
            if step == "succeed":
                breaker.succeeded(now_s, 0.1)
            else:
                breaker.failed(now_s)
            if probing:
                probing = False
        assert breaker.retry_after_s(now_s) <= RULES.longest_pause_s
    breaker.abandoned()
    assert breaker.acquire(now_s + RULES.longest_pause_s)


# ---- every circuit of a process ----


def fail(circuits: Circuits, kind: FailureKind, times: int, *, key: str = KEY, now_s: float = 0.0) -> None:
    for _ in range(times):
        circuits.failed(Provider.GOOGLE, key, kind, None, now_s)


def test_an_unreachable_provider_takes_all_its_models_with_it() -> None:
    circuits = Circuits(RULES)
    fail(circuits, FailureKind.UNREACHABLE, 2)
    assert not circuits.admits(Provider.GOOGLE, "google#other", 0.0)
    assert circuits.admits(Provider.BEDROCK, "bedrock#claude", 0.0)
    assert circuits.paused(0.0) == {"google": 2.0}


def test_an_overloaded_model_leaves_the_others_alone() -> None:
    circuits = Circuits(RULES)
    fail(circuits, FailureKind.OVERLOADED, 2)
    assert circuits.paused(0.0) == {KEY: 2.0}
    assert circuits.admits(Provider.GOOGLE, "google#other", 0.0)


def test_what_the_caller_is_at_fault_for_opens_nothing() -> None:
    circuits = Circuits(RULES)
    for kind in FailureKind:
        if kind.callers_fault or kind is FailureKind.UNSUPPORTED:
            fail(circuits, kind, 100)
    assert circuits.admits(Provider.GOOGLE, KEY, 0.0)


def test_a_rate_limit_keeps_the_model_alone_for_as_long_as_it_asked() -> None:
    circuits = Circuits(RULES)
    circuits.failed(Provider.GOOGLE, KEY, FailureKind.RATE_LIMITED, 7.0, 0.0)
    assert circuits.paused(0.0) == {KEY: 7.0}
    circuits.failed(Provider.GOOGLE, KEY, FailureKind.RATE_LIMITED, 100_000.0, 0.0)
    assert circuits.paused(0.0) == {KEY: 60.0}


def test_who_opens_is_told_once() -> None:
    circuits = Circuits(RULES)
    told = [circuits.failed(Provider.GOOGLE, KEY, FailureKind.AUTHENTICATION, None, 0.0) for _ in range(4)]
    assert [one is not None for one in told] == [False, True, False, False]
    assert told[1] is not None
    assert told[1].name == KEY


def test_a_model_that_may_not_be_called_leaves_its_provider_in() -> None:
    circuits = Circuits(RULES)
    fail(circuits, FailureKind.AUTHENTICATION, 2)
    assert circuits.paused(0.0) == {KEY: 2.0}


def test_a_model_that_answers_badly_shows_that_its_provider_is_there() -> None:
    circuits = Circuits(RULES)
    fail(circuits, FailureKind.UNREACHABLE, 2)
    assert circuits.acquire(Provider.GOOGLE, KEY, 2.0)
    circuits.failed(Provider.GOOGLE, KEY, FailureKind.OVERLOADED, None, 2.0)
    assert circuits.admits(Provider.GOOGLE, "google#other", 2.0)


def test_two_calls_never_probe_the_same_provider_by_different_models() -> None:
    circuits = Circuits(RULES)
    fail(circuits, FailureKind.UNREACHABLE, 2)
    assert circuits.acquire(Provider.GOOGLE, KEY, 2.0)
    assert not circuits.acquire(Provider.GOOGLE, "google#other", 2.0)
    circuits.abandoned(Provider.GOOGLE, KEY)
    assert circuits.acquire(Provider.GOOGLE, "google#other", 2.0)
