"""What a kind of secret has to say: how a new value is made, when it is good, and how keys end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

from lambdas.secret_rotation.document import Document
from lambdas.secret_rotation.patience import Patience


class ProviderKeys(Protocol):
    """The keys that a rotation makes at a provider, and is answerable for.

    Every method takes the current document, for it may be what the calls are authorised with. An id names a
    key among all of the provider's; what cannot be said or done is a `RotationError`.
    """

    grace_s: float

    def account(self, current: Document) -> str:
        """Whose keys they are. Keys of two accounts have nothing to do with each other."""
        ...

    def ids(self, current: Document) -> frozenset[str]:
        """Every key of this secret that the provider holds."""
        ...

    def make(self, current: Document, version_id: str) -> Document:
        """Make a key: the document that carries it."""
        ...

    def id_in(self, document: Document, current: Document) -> str | None:
        """The key that a document carries, None where it is not one of this account's made by a rotation."""
        ...

    def end(self, current: Document, key_id: str) -> None:
        """Make a key stop working; done where it is gone already."""
        ...


class Strategy(ABC):
    """One kind of secret."""

    provider_keys: ProviderKeys | None = None
    """None where nothing is made outside Secrets Manager."""

    @abstractmethod
    def new_document(self, current: Document, version_id: str) -> Document:
        """A value with a new key, which `version_id` is going to hold.

        Raises:
            RotationError: none can be made, with the remedy.
        """

    @abstractmethod
    def test(self, pending: Document, current: Document, patience: Patience) -> None:
        """Whether a value may take the place of the current one.

        Raises:
            RotationError: it may not.
        """

    def without_expired(self, current: Document, current_for_s: float) -> Document | None:
        """The current value without what has had its time; None where there is no such thing."""
        del current, current_for_s
        return None
