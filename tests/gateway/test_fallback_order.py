"""Who is asked after a failure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.registry import Provider
from gateway.providers.adapter import FailureKind
from gateway.resilience.failover import Failure, next_candidate
from gateway.routing.decision import Candidate

CANDIDATES = [
    Candidate(f"{provider}#{model}", "2026-11-01", provider, model, 0.0, ())
    for provider, model in [
        (Provider.BEDROCK, "best"),
        (Provider.BEDROCK, "second"),
        (Provider.GOOGLE, "third"),
        (Provider.BEDROCK, "fourth"),
        (Provider.GOOGLE, "fifth"),
        (Provider.LLAMA, "last"),
    ]
]


def order_asked(*kinds: FailureKind, candidates: list[Candidate] = CANDIDATES) -> list[str]:
    """Who is asked where one call after the other fails as `kinds` say; the last kind goes on for ever."""
    asked: list[Candidate] = []
    following: Candidate | None = candidates[0]
    while following is not None:
        asked.append(following)
        failures = [Failure(each, kinds[min(n, len(kinds) - 1)]) for n, each in enumerate(asked)]
        following = next_candidate(candidates, failures)
    return [each.model for each in asked]


@pytest.mark.parametrize(
    "kind",
    [
        FailureKind.AUTHENTICATION,
        FailureKind.RATE_LIMITED,
        FailureKind.OVERLOADED,
        FailureKind.TIMEOUT,
        FailureKind.UNREACHABLE,
    ],
)
def test_a_failure_of_the_provider_leads_to_the_best_of_each_other_provider(kind: FailureKind) -> None:
    assert order_asked(kind) == ["best", "third", "last"]


@pytest.mark.parametrize("kind", [FailureKind.PROTOCOL, FailureKind.UNSUPPORTED])
def test_a_failure_of_the_model_leads_to_the_next_in_rank(kind: FailureKind) -> None:
    assert order_asked(kind) == ["best", "second", "third"]


def test_a_provider_is_asked_a_second_time_only_by_the_first_fallback() -> None:
    of_one = [each for each in CANDIDATES if each.provider is Provider.BEDROCK]
    assert order_asked(FailureKind.OVERLOADED, candidates=of_one) == ["best", "second"]
    of_two = [each for each in CANDIDATES if each.provider is not Provider.LLAMA]
    assert order_asked(FailureKind.OVERLOADED, candidates=of_two) == ["best", "third"]
    assert order_asked(FailureKind.OVERLOADED, FailureKind.PROTOCOL, candidates=of_two) == ["best", "third"]


@pytest.mark.parametrize("kind", [kind for kind in FailureKind if kind.callers_fault])
def test_what_every_provider_would_refuse_ends_the_search(kind: FailureKind) -> None:
    assert order_asked(kind) == ["best"]
    assert order_asked(FailureKind.OVERLOADED, kind) == ["best", "third"]


@given(
    st.lists(st.sampled_from(CANDIDATES), min_size=1, unique=True),
    st.lists(st.sampled_from(FailureKind), min_size=1),
)
def test_a_request_costs_at_most_one_call_for_each_provider_there_is(
    candidates: list[Candidate], kinds: list[FailureKind]
) -> None:
    asked = order_asked(*kinds, candidates=candidates)
    assert len(asked) == len(set(asked)) <= len(Provider)
