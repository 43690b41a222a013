"""What goes wrong in a rotation, in words that may be logged."""

from __future__ import annotations


class RotationError(Exception):
    """A step or a sweep that cannot go on.

    The message is what an operator reads: what, why, and the remedy. It never holds a value of a secret.
    """
