"""What is said about a setting: when it matters, why, and what to change."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """A warning is a target that is missed; a note is money or a knob without effect while targets hold."""

    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing about a setting; `at` is the minute, None where it holds at any time."""

    severity: Severity
    key: str
    value: object
    at: datetime.datetime | None
    why: str
    fix: str


def minutes_text(count: int) -> str:
    """`1 minute`, `7 minutes`."""
    return "1 minute" if count == 1 else f"{count} minutes"


def time_text(time_ms: float) -> str:
    """`340 ms`, `8.2 s`."""
    return f"{time_ms / 1000:.1f} s" if time_ms >= 1000 else f"{time_ms:.0f} ms"
