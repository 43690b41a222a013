"""What stops a plan: one message that names the thing, the value, the reason and the remedy."""

from __future__ import annotations


class CapacityError(Exception):
    """An input that cannot be planned with; its text is all that the user is shown."""

    def __init__(self, thing: str, *, why: str, fix: str) -> None:
        super().__init__(f"{thing}\n    why: {why}\n    fix: {fix}")
