"""What a secret says it is for, so that one that was put in the wrong place is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

T = TypeVar("T")


class Scope(msgspec.Struct, frozen=True):
    """Where a secret belongs. What a document leaves out it does not restrict."""

    environment: str | None = None
    region: str | None = None
    provider: str | None = None


class _Scoped(msgspec.Struct, frozen=True):
    scope: Scope = Scope()


_decoder = msgspec.json.Decoder(_Scoped)


def within(scope: Scope, parse: Callable[[str], T]) -> Callable[[str], T]:
    """`parse`, for documents whose `scope` is absent or names nothing other than `scope`."""

    def checked(text: str) -> T:
        refuse_foreign(text, scope)
        return parse(text)

    return checked


def refuse_foreign(text: str, expected: Scope) -> None:
    """Refuse a document that is for somewhere else.

    Raises:
        ValueError: it is, or its `scope` is no object of texts, or it is no JSON object. No value of the
            document is repeated.
    """
    named = _decoder.decode(text).scope
    for member in Scope.__struct_fields__:
        value = getattr(named, member)
        if value is not None and value != getattr(expected, member):
            raise ValueError(
                f"its `scope` names another {member} than {getattr(expected, member)!r}; "
                "put the secret that was made for here, or correct its scope"
            )
