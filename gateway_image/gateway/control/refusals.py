"""Why a change that an operator asks for is not made. Each message is written for the operator."""

from __future__ import annotations


class TransitionRefusedError(Exception):
    """A change that is not allowed from what is in force; the message says why and what would be."""


class ConflictError(Exception):
    """Somebody else changed the same thing at the same moment; nothing was changed here."""


class VersionConflictError(Exception):
    """A version that exists cannot get other content: decisions already refer to it."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} exists with other content; put a new version")


class UnknownVersionError(Exception):
    """A version of a model that is asked for and not registered."""


class UnknownRouteSetError(Exception):
    """A route set that is asked for and not in the library."""


class NoStoreTookItError(Exception):
    """No store confirmed the change; the message says what each said. One may have made it all the same."""
