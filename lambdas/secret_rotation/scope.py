"""What a document says it is for, so that one that was put in the wrong place is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from lambdas.secret_rotation.document import Document
from lambdas.secret_rotation.refusal import RotationError


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Where a secret belongs."""

    environment: str
    region: str
    provider: str

    def stamped_on(self, document: Document) -> Document:
        """The document, saying that it is for here."""
        return {**document, "scope": asdict(self)}

    def refuse_foreign(self, document: Document, what: str) -> None:
        """Refuse a document that is for somewhere else; what it leaves out it does not restrict.

        Raises:
            RotationError: it is, or its `scope` is no object of texts.
        """
        named = document.get("scope", {})
        if not isinstance(named, Mapping):
            raise RotationError(
                f"`scope` of {what} is a {type(named).__name__}; it must be an object of texts"
            )
        for member, expected in asdict(self).items():
            if named.get(member, expected) != expected:
                raise RotationError(
                    f"`scope.{member}` of {what} is not {expected!r}; "
                    "put the secret that was made for here, or correct its scope"
                )
