"""What goes wrong in a rotation, in words that may be logged."""

from __future__ import annotations

from botocore.exceptions import ClientError


class RotationError(Exception):
    """A step or a sweep that cannot go on.

    The message is what an operator reads: what, why, and the remedy. It never holds a value of a secret.
    """


def in_words(error: Exception) -> str:
    """An error for a log: texts of unknown origin may repeat a value."""
    if isinstance(error, RotationError):
        return str(error)
    if isinstance(error, ClientError):
        return f"AWS refused {error.operation_name}: {code_of(error)}"
    return f"unexpected {type(error).__name__}"


def code_of(error: ClientError) -> str:
    """What AWS calls the error."""
    return str(error.response.get("Error", {}).get("Code"))
