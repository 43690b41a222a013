"""The refusal of a request that is wrong, in words of bounded length."""

from __future__ import annotations

from gateway.failures import Reason, RefusalError

LONGEST_QUOTE = 80


def invalid(message: str, parameter: str | None) -> RefusalError:
    """The refusal of a request whose `parameter` is wrong."""
    return RefusalError(Reason.INVALID_REQUEST, message, parameter=parameter)


def shortened(text: str | None) -> str:
    """What a caller sent, quoted, as far as it helps to find it."""
    if text is not None and len(text) > LONGEST_QUOTE:
        return f"{text[:LONGEST_QUOTE]!r}…"
    return repr(text)
