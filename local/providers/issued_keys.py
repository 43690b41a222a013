"""Keys that the simulated providers have made, and those that stopped working.

A key that was made elsewhere, an operator's first one, works until it is ended or a rule says otherwise.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field

import msgspec

from local.providers.exchange import RefusalError

MOST_KEYS = 10
"""Of a service account, https://cloud.google.com/iam/quotas"""


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How strict a provider is about keys; Google's own way is not to be.

    `newest_only`: from now on no key works but the one made last. `end_tokens`: nor does a token that was
    given for a key that does not work any more.
    """

    newest_only: bool = False
    end_tokens: bool = False


@dataclass(frozen=True, kw_only=True)
class IssuedKey:
    """A key of `owner`. `material` is what the provider keeps of it: a public key, or the API key itself."""

    id: str
    owner: str
    made_at_s: float
    name: str = ""
    material: str | None = field(default=None, repr=False)


class IssuedKeys:
    """One provider's keys by id, in the order in which they became known."""

    def __init__(self) -> None:
        self.rules = Rules()
        self._living: dict[str, IssuedKey] = {}
        self._ended: dict[str, IssuedKey] = {}

    def add(self, owner: str, *, name: str = "", material: str | None = None, key_id: str = "") -> IssuedKey:
        """Remember a key that was made."""
        key = IssuedKey(
            id=key_id or secrets.token_hex(12),
            owner=owner,
            made_at_s=time.time(),
            name=name,
            material=material,
        )
        self._living[key.id] = key
        return key

    def saw(self, owner: str, key_id: str) -> None:
        """Remember a key that was made elsewhere, from its first use on."""
        if key_id and key_id not in self._living and key_id not in self._ended:
            known = self.add(owner, key_id=key_id)
            # It is older than whatever was made here.
            self._living = {known.id: known} | self._living

    def end(self, owner: str, key_id: str) -> None:
        """Delete a key.

        Raises:
            RefusalError: the owner has no such key.
        """
        if self._living.get(key_id) is None or self._living[key_id].owner != owner:
            raise RefusalError(404, f"Unknown key {key_id}.")
        self._ended[key_id] = self._living.pop(key_id)

    def of(self, owner: str) -> list[IssuedKey]:
        """The living keys of an owner, the newest last."""
        return [key for key in self._living.values() if key.owner == owner]

    def with_material(self, material: str) -> IssuedKey | None:
        """The key, living or ended, that is this text."""
        every = (*self._living.values(), *self._ended.values())
        return next((key for key in every if key.material == material), None)

    def living(self, key_id: str) -> IssuedKey | None:
        """The key, unless it was ended or is not known."""
        return self._living.get(key_id)

    def works(self, key_id: str) -> bool:
        """Whether a key may be used; one that is not known here is older than all that are."""
        if key_id in self._ended:
            return False
        newest = next(reversed(self._living), key_id)
        return not self.rules.newest_only or key_id == newest

    def listing(self) -> dict[str, object]:
        """Ids and rules, without anything secret."""
        return {
            "rules": msgspec.to_builtins(self.rules),
            "living": list(self._living),
            "ended": list(self._ended),
        }
