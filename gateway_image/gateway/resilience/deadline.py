"""How long one provider call may take, and all calls of a request together."""

from __future__ import annotations

SHORTEST_CALL_S = 30.0
LONGEST_CALL_S = 120.0
MISSED_BY = 6.0
"""The latency a caller would like is a wish, not a limit: a call is given up at this multiple of it."""

LONGEST_SILENCE_S = 60.0
"""Between two pieces of a streamed answer; providers send something at least every few seconds."""

LONGEST_STREAM_S = 900.0
"""For a whole streamed answer: more tokens than any model gives, at the speed of the slowest."""

SHORTEST_REMAINDER_S = 1.0
"""With less than this left no further provider is asked: it could hardly answer."""


def call_timeout_s(sla_ms: int) -> float:
    """Seconds after which a call is given up, for a request that would like its answer within `sla_ms`."""
    return min(max(MISSED_BY * sla_ms / 1000.0, SHORTEST_CALL_S), LONGEST_CALL_S)


def request_timeout_s(sla_ms: int) -> float:
    """Seconds that all calls for one request may take together.

    The first call and one fallback may take their time in full; a further one gets what they have left over.
    """
    return 2 * call_timeout_s(sla_ms)
