"""How long one provider call may take."""

from __future__ import annotations

SHORTEST_CALL_S = 30.0
LONGEST_CALL_S = 120.0
MISSED_BY = 6.0
"""The latency a caller would like is a wish, not a limit: a call is given up at this multiple of it."""


def call_timeout_s(sla_ms: int) -> float:
    """Seconds after which a call is given up, for a request that would like its answer within `sla_ms`."""
    return min(max(MISSED_BY * sla_ms / 1000.0, SHORTEST_CALL_S), LONGEST_CALL_S)
