"""Moments in tags and version ids, where a colon or a dot would not always do."""

from __future__ import annotations

from datetime import UTC, datetime

_COMPACT = "%Y%m%dT%H%M%SZ"


def compact(at_s: float) -> str:
    """UTC, to the second, in letters and digits only."""
    return datetime.fromtimestamp(at_s, UTC).strftime(_COMPACT)


def compact_s(text: str) -> float | None:
    """Seconds since the epoch; None where the text is no moment."""
    try:
        return datetime.strptime(text, _COMPACT).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
