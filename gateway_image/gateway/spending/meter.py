"""What a call costs: whole millionths of a euro, from the registry item's own price.

A call without a price cannot be expressed: every `RegistryItem` has one.
"""

from __future__ import annotations

from gateway.control.registry import Price
from gateway.model import Usage

TOKENS_PER_PRICE = 1_000_000


def cost_eur_micro(price: Price, usage: Usage) -> int:
    """Cost of a call in millionths of a euro, rounded up so that nothing is free.

    Cached input has its own price; reasoning tokens are part of the output.
    """
    cached = min(usage.cached_input_tokens, usage.input_tokens)
    product = (
        (usage.input_tokens - cached) * price.input_micro_per_million_tokens
        + cached * price.cached_input_micro_per_million_tokens
        + usage.output_tokens * price.output_micro_per_million_tokens
    )
    return -(-product // TOKENS_PER_PRICE)
