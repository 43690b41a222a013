"""The audit record of a value that a deploy puts: written first, and taken back where the value was not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from lambdas.audit_record import Change
from lambdas.custom_resource import log

WHY = "declared in the project, and deployed"
UNREADABLE = "unreadable"


class Trail(Protocol):
    """Where records go."""

    def append(self, change: Change) -> None:
        """Record a change, unless the newest record of its subject says the very same."""
        ...


class NotTakenError(Exception):
    """Parameter Store did not take the value, because an operator was faster."""


@dataclass(frozen=True)
class Recorder:
    """Records in `trail` what the stack `who` puts into force."""

    trail: Trail
    who: str

    @contextmanager
    def around(self, subject: str, before: str | None, after: str) -> Iterator[None]:
        """Record that the text `after` follows `before`, then do what stands inside.

        Where that raises, a record `refused` follows, and the error goes on.
        """
        was, is_now = "" if before is None else _version(before), _version(after)
        self.trail.append(self._change(subject, "activate", was, is_now, WHY))
        try:
            yield
        except Exception as error:
            why = f"Parameter Store did not confirm it: {type(error).__name__}: {error}"
            try:
                self.trail.append(self._change(subject, "refused", is_now, was, why))
            except Exception as lost:  # what is told is why the value was not put
                log("refusal not recorded", problem=f"{type(lost).__name__}: {lost}")
            raise

    def _change(self, subject: str, action: str, before: str, after: str, why: str) -> Change:
        return Change(
            subject=subject, who=self.who, how="deploy", action=action, before=before, after=after, why=why
        )


def _version(text: str) -> str:
    """Name and version of a route set, as the gateway's records have them."""
    try:
        document = json.loads(text)
        return f"{document['name']}@{document['version']}"
    except (ValueError, TypeError, KeyError):
        return UNREADABLE
