"""A circuit opens on what speaks of the other side's health, probes with few calls, and closes again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.registry import Provider
from gateway.providers.adapter import FailureKind
from gateway.resilience.circuit import Circuit, CircuitRules, CircuitState, Ticket
from gateway.resilience.circuits import Circuits, Opened

RULES = CircuitRules(jitter=0.0)
KEY = "google#gemini"


def circuit(**changes: float) -> Circuit:
    return Circuit(CircuitRules(**{"jitter": 0.0, **changes}), share=lambda: 0.0)  # type: ignore[arg-type]


def let_through(breaker: Circuit, now_s: float) -> Ticket:
    ticket = breaker.acquire(now_s)
    assert ticket is not None
    return ticket


def succeed(breaker: Circuit, now_s: float, duration_s: float = 0.1) -> None:
    breaker.succeeded(let_through(breaker, now_s), now_s, duration_s)


def fail(breaker: Circuit, now_s: float) -> None:
    breaker.failed(let_through(breaker, now_s), now_s)


def opened_at(breaker: Circuit, now_s: float) -> Circuit:
    while breaker.state(now_s) is not CircuitState.OPEN:
        fail(breaker, now_s)
    return breaker


def test_without_any_traffic_before_two_failures_are_enough() -> None:
    breaker = circuit()
    fail(breaker, 1.0)
    assert breaker.state(1.0) is CircuitState.CLOSED
    fail(breaker, 1.1)
    assert breaker.state(1.1) is CircuitState.OPEN


def test_a_sudden_death_under_traffic_is_noticed_after_three() -> None:
    breaker = circuit()
    for number in range(1000):
        succeed(breaker, number / 100)
    states = []
    for _ in range(3):
        fail(breaker, 10.0)
        states.append(breaker.state(10.0))
    assert states == [CircuitState.CLOSED, CircuitState.CLOSED, CircuitState.OPEN]


def test_a_few_errors_among_answers_open_nothing() -> None:
    breaker = circuit()
    for number in range(1, 1000):
        if number % 10:
            succeed(breaker, number / 100)
        else:
            fail(breaker, number / 100)
    assert breaker.state(10.0) is CircuitState.CLOSED


def test_half_of_the_calls_failing_opens_it_though_no_two_follow_each_other() -> None:
    breaker = circuit()
    for number in range(5):
        succeed(breaker, number / 10)
        fail(breaker, number / 10)
    assert breaker.state(1.0) is CircuitState.OPEN


def test_slow_answers_open_it() -> None:
    breaker = circuit(slow_call_s=5.0)
    for number in range(10):
        succeed(breaker, number / 10, 6.0)
    assert breaker.state(1.0) is CircuitState.OPEN


def test_failures_that_are_longer_ago_than_the_window_are_forgotten() -> None:
    breaker = circuit(consecutive_failures=1000)
    for _ in range(4):
        succeed(breaker, 0.0)
        fail(breaker, 0.0)
    succeed(breaker, 0.0)
    fail(breaker, 100.0)
    assert breaker.state(100.0) is CircuitState.CLOSED


def test_after_the_pause_one_probe_goes_through_at_a_time() -> None:
    breaker = opened_at(circuit(), 0.0)
    assert breaker.acquire(1.9) is None
    probe = let_through(breaker, 2.0)
    assert breaker.acquire(2.0) is None
    breaker.succeeded(probe, 2.1, 0.1)
    assert breaker.state(2.1) is CircuitState.CLOSED
    assert breaker.acquire(2.1)
    assert breaker.acquire(2.1)


def test_each_failed_probe_doubles_the_pause_up_to_the_longest() -> None:
    breaker = opened_at(circuit(), 0.0)
    now_s, pauses = 0.0, []
    for _ in range(6):
        pauses.append(breaker.retry_after_s(now_s))
        now_s += pauses[-1]
        fail(breaker, now_s)
    assert pauses == [2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_a_probe_that_ends_without_a_verdict_makes_room_for_another() -> None:
    breaker = opened_at(circuit(), 0.0)
    breaker.abandoned(let_through(breaker, 2.0))
    assert breaker.acquire(2.0)


def test_a_probe_that_is_lost_does_not_block_for_ever_and_has_no_say_afterwards() -> None:
    breaker = opened_at(circuit(), 0.0)
    lost = let_through(breaker, 2.0)
    assert breaker.acquire(131.9) is None
    probe = let_through(breaker, 132.0)
    breaker.failed(lost, 132.0)
    breaker.abandoned(lost)
    assert breaker.acquire(132.0) is None
    breaker.succeeded(probe, 132.1, 0.1)
    assert breaker.state(132.1) is CircuitState.CLOSED


@pytest.mark.parametrize("outcome", ["succeeded", "failed", "abandoned"])
def test_calls_from_before_it_opened_say_nothing_of_the_probe(outcome: str) -> None:
    breaker = circuit()
    old = let_through(breaker, 0.0)
    opened_at(breaker, 0.0)
    probe = let_through(breaker, 2.0)
    if outcome == "succeeded":
        breaker.succeeded(old, 2.0, 0.1)
    elif outcome == "failed":
        breaker.failed(old, 2.0)
    else:
        breaker.abandoned(old)
    assert breaker.state(2.0) is CircuitState.HALF_OPEN
    assert breaker.acquire(2.0) is None
    breaker.succeeded(probe, 2.1, 0.1)
    assert breaker.state(2.1) is CircuitState.CLOSED


def test_replicas_do_not_probe_together() -> None:
    pauses = set()
    for share in (0.0, 0.5, 1.0):
        breaker = Circuit(CircuitRules(), share=lambda share=share: share)  # type: ignore[misc]
        pauses.add(opened_at(breaker, 0.0).retry_after_s(0.0))
    assert pauses == {2.0, 1.8, 1.6}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["acquire", "succeed", "fail", "abandon", "hold"]),
            st.floats(0.0, 3.0, allow_nan=False),
            st.integers(0, 20),
        ),
        max_size=200,
    )
)
def test_it_always_comes_back_and_never_has_two_probes_that_count(
    steps: list[tuple[str, float, int]],
) -> None:
    breaker = circuit()
    now_s = 0.0
    tickets: list[Ticket] = []
    for step, passed_s, which in steps:
        now_s += passed_s
        if step == "acquire" or not tickets:
            half_open = breaker.state(now_s) is CircuitState.HALF_OPEN
            ticket = breaker.acquire(now_s)
            if ticket is not None:
                assert ticket.is_probe is half_open
                tickets.append(ticket)
                assert breaker.admits(now_s) is not half_open
            continue
        ticket = tickets.pop(which % len(tickets))
        if step == "succeed":
            breaker.succeeded(ticket, now_s, 0.1)
        elif step == "fail":
            breaker.failed(ticket, now_s)
        elif step == "abandon":
            breaker.abandoned(ticket)
        else:
            breaker.hold_open(now_s + passed_s)
        assert breaker.retry_after_s(now_s) <= RULES.longest_pause_s
    assert breaker.acquire(now_s + RULES.longest_pause_s + RULES.probe_timeout_s)


# ---- every circuit of a process ----


def fail_all(
    circuits: Circuits, kind: FailureKind, times: int, *, key: str = KEY, now_s: float = 0.0
) -> list[Opened | None]:
    """So many calls, all under way before the first of them fails."""
    permits = [circuits.acquire(Provider.GOOGLE, key, now_s) for _ in range(times)]
    return [permit.failed(kind, None, now_s) for permit in permits if permit is not None]


def test_an_unreachable_provider_takes_all_its_models_with_it() -> None:
    circuits = Circuits(RULES)
    fail_all(circuits, FailureKind.UNREACHABLE, 2)
    assert not circuits.admits(Provider.GOOGLE, "google#other", 0.0)
    assert circuits.admits(Provider.BEDROCK, "bedrock#claude", 0.0)
    assert circuits.paused(0.0) == {"google": 2.0}


@pytest.mark.parametrize(
    "kind",
    [FailureKind.OVERLOADED, FailureKind.TIMEOUT, FailureKind.PROTOCOL, FailureKind.AUTHENTICATION],
)
def test_a_model_that_fails_leaves_its_providers_others_alone(kind: FailureKind) -> None:
    circuits = Circuits(RULES)
    fail_all(circuits, kind, 2)
    assert circuits.paused(0.0) == {KEY: 2.0}
    assert circuits.admits(Provider.GOOGLE, "google#other", 0.0)


@pytest.mark.parametrize(
    "kind",
    [FailureKind.OVERLOADED, FailureKind.TIMEOUT, FailureKind.PROTOCOL, FailureKind.AUTHENTICATION],
)
def test_a_model_that_goes_on_failing_is_asked_by_probes_alone(kind: FailureKind) -> None:
    circuits = Circuits(RULES)
    calls = sum(
        len(fail_all(circuits, kind, 1, now_s=tenth / 10)) for tenth in range(600)
    )  # a minute at ten requests a second
    assert calls <= 8


def test_what_the_caller_is_at_fault_for_opens_nothing() -> None:
    circuits = Circuits(RULES)
    for kind in FailureKind:
        if kind.callers_fault or kind is FailureKind.UNSUPPORTED:
            fail_all(circuits, kind, 100)
    assert circuits.admits(Provider.GOOGLE, KEY, 0.0)


def test_a_rate_limit_keeps_the_model_alone_for_as_long_as_it_asked() -> None:
    circuits = Circuits(RULES)
    one, two = (circuits.acquire(Provider.GOOGLE, KEY, 0.0) for _ in range(2))
    assert one is not None
    assert two is not None
    one.failed(FailureKind.RATE_LIMITED, 7.0, 0.0)
    assert circuits.paused(0.0) == {KEY: 7.0}
    two.failed(FailureKind.RATE_LIMITED, 100_000.0, 0.0)
    assert circuits.paused(0.0) == {KEY: 60.0}


def test_who_opens_is_told_once() -> None:
    circuits = Circuits(RULES)
    told = fail_all(circuits, FailureKind.AUTHENTICATION, 4)
    assert [one is not None for one in told] == [False, True, False, False]
    assert told[1] is not None
    assert told[1].name == KEY


def test_a_model_that_answers_badly_shows_that_its_provider_is_there() -> None:
    circuits = Circuits(RULES)
    fail_all(circuits, FailureKind.UNREACHABLE, 2)
    fail_all(circuits, FailureKind.OVERLOADED, 1, now_s=2.0)
    assert circuits.admits(Provider.GOOGLE, "google#other", 2.0)


def test_two_calls_never_probe_the_same_provider_by_different_models() -> None:
    circuits = Circuits(RULES)
    fail_all(circuits, FailureKind.UNREACHABLE, 2)
    probe = circuits.acquire(Provider.GOOGLE, KEY, 2.0)
    assert probe is not None
    assert circuits.acquire(Provider.GOOGLE, "google#other", 2.0) is None
    probe.abandoned()
    assert circuits.acquire(Provider.GOOGLE, "google#other", 2.0)


def test_a_caller_who_leaves_a_stream_that_has_begun_says_nothing() -> None:
    circuits = Circuits(RULES)
    fail_all(circuits, FailureKind.OVERLOADED, 2)
    probe = circuits.acquire(Provider.GOOGLE, KEY, 2.0)
    assert probe is not None
    probe.succeeded(2.1, 0.1)
    probe.abandoned()
    assert circuits.paused(2.1) == {}


def test_streams_that_break_off_open_the_circuit_though_they_began_well() -> None:
    circuits = Circuits(RULES)
    for _ in range(20):
        stream = circuits.acquire(Provider.GOOGLE, KEY, 0.0)
        if stream is None:
            break
        stream.succeeded(0.0, 0.1)
        stream.failed(FailureKind.UNREACHABLE, None, 0.0)
    assert circuits.paused(0.0) == {KEY: 2.0}
