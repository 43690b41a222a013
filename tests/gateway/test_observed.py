"""What a replica has seen of a model: the latest calls, in bounded memory."""

from __future__ import annotations

import pytest

from gateway.telemetry.observed import CALLS_KEPT, MODELS_KEPT, WINDOW_S, ObservedModels
from gateway.telemetry.record import ANSWERED, BROKEN, CANCELLED, Attempt


class Clock:
    """A clock that the test turns."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def call(outcome: str = ANSWERED, duration_ms: float = 100.0, model: str = "m") -> Attempt:
    return Attempt(f"bedrock#{model}", "2026-11-01", outcome, None, duration_ms)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def observed(clock: Clock) -> ObservedModels:
    return ObservedModels(clock=clock)


def test_a_model_that_was_not_called_has_not_been_seen(observed: ObservedModels) -> None:
    assert observed.told("bedrock#m", "2026-11-01") is None
    observed.attempted(call())
    assert observed.told("bedrock#m", "2026-12-01") is None


def test_latencies_are_of_answered_calls_and_errors_are_counted(observed: ObservedModels) -> None:
    for duration_ms in range(1, 101):
        observed.attempted(call(duration_ms=float(duration_ms)))
    for _ in range(25):
        observed.attempted(call("timeout", 60_000))
    told = observed.told("bedrock#m", "2026-11-01")
    assert told is not None
    assert (told.calls, told.error_rate, told.median_ms, told.p95_ms) == (125, 0.2, 50.0, 95.0)


def test_a_model_that_never_answered_has_no_latency(observed: ObservedModels) -> None:
    observed.attempted(call("unreachable"))
    told = observed.told("bedrock#m", "2026-11-01")
    assert told is not None
    assert (told.error_rate, told.median_ms, told.p95_ms) == (1.0, None, None)


@pytest.mark.parametrize(
    "outcome", [CANCELLED, BROKEN, "invalid_request", "context_length", "content_filter"]
)
def test_what_is_not_the_models_doing_is_not_held_against_it(observed: ObservedModels, outcome: str) -> None:
    observed.attempted(call(outcome))
    assert observed.told("bedrock#m", "2026-11-01") is None


def test_what_is_older_than_the_window_is_forgotten(observed: ObservedModels, clock: Clock) -> None:
    observed.attempted(call("timeout"))
    clock.now_s += WINDOW_S / 2
    observed.attempted(call())
    clock.now_s += WINDOW_S / 2
    told = observed.told("bedrock#m", "2026-11-01")
    assert told is not None
    assert (told.calls, told.error_rate) == (1, 0)
    clock.now_s += WINDOW_S
    assert observed.told("bedrock#m", "2026-11-01") is None


def test_memory_is_bounded_in_calls_and_in_models(observed: ObservedModels, clock: Clock) -> None:
    for _ in range(CALLS_KEPT + 10):
        observed.attempted(call())
    told = observed.told("bedrock#m", "2026-11-01")
    assert told is not None
    assert told.calls == CALLS_KEPT
    for number in range(MODELS_KEPT):
        clock.now_s += 0.01
        observed.attempted(call(model=f"m{number}"))
    assert observed.told("bedrock#m", "2026-11-01") is None
    assert all(observed.told(f"bedrock#m{number}", "2026-11-01") for number in range(MODELS_KEPT))
