"""Cost is exact, in millionths of a euro."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.model import Usage
from gateway.spending.meter import cost_eur_micro
from tests.gateway.stores import declared_models

HAIKU = next(item for item in declared_models() if item.model == "claude-haiku-4-5").price
tokens = st.integers(0, 10**7)


def test_a_million_tokens_cost_the_list_price() -> None:
    assert cost_eur_micro(HAIKU, Usage(10**6, 0)) == HAIKU.input_micro_per_million_tokens
    assert cost_eur_micro(HAIKU, Usage(0, 10**6)) == HAIKU.output_micro_per_million_tokens
    cached = Usage(10**6, 0, cached_input_tokens=10**6)
    assert cost_eur_micro(HAIKU, cached) == HAIKU.cached_input_micro_per_million_tokens


def test_a_single_token_is_not_free() -> None:
    assert cost_eur_micro(HAIKU, Usage(1, 0)) == 1


def test_reasoning_is_part_of_the_output_and_not_billed_twice() -> None:
    assert cost_eur_micro(HAIKU, Usage(0, 100, reasoning_tokens=90)) == cost_eur_micro(HAIKU, Usage(0, 100))


@given(tokens, tokens, tokens)
def test_cost_is_never_negative_and_never_below_the_exact_price(given_in: int, out: int, cached: int) -> None:
    cost = cost_eur_micro(HAIKU, Usage(given_in, out, cached_input_tokens=cached))
    used = min(cached, given_in)
    exact = (given_in - used) * 946_000 + used * 94_600 + out * 4_730_000
    assert exact <= cost * 10**6 < exact + 10**6
