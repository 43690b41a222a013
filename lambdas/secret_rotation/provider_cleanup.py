"""Ends keys at a provider that no version of the secret needs any more."""

from __future__ import annotations

from collections.abc import Iterator

from lambdas.secret_rotation.document import Document
from lambdas.secret_rotation.records import Start, promoted_at_s
from lambdas.secret_rotation.refusal import RotationError
from lambdas.secret_rotation.stored_secret import Description, StoredSecret, Version
from lambdas.secret_rotation.strategy import ProviderKeys
from lambdas.secret_rotation.vault import CURRENT, PENDING, PREVIOUS


def end_orphans(
    secret: StoredSecret,
    keys: ProviderKeys,
    current: Document,
    described: Description,
    start: Start,
    key_ids: frozenset[str],
) -> int:
    """End the keys made since `start` that no labelled version carries; how many there were.

    `key_ids` is what the provider held at a moment before `described`: a key that another run makes
    meanwhile is then either not among them, or its version has a label already.
    """
    made_since = start.made_since(keys.account(current), key_ids)
    orphans = made_since.difference(_carried(secret, keys, current, described))
    for key_id in sorted(orphans):
        keys.end(current, key_id)
    return len(orphans)


def _carried(
    secret: StoredSecret, keys: ProviderKeys, current: Document, described: Description
) -> Iterator[str]:
    for label in (CURRENT, PENDING, PREVIOUS):
        version = secret.version(described.version_with(label))
        key_id = None if version is None else _id_in(keys, version, current)
        if key_id is not None:
            yield key_id


def end_previous(
    secret: StoredSecret,
    keys: ProviderKeys,
    described: Description,
    current: Version,
    *,
    successor: Document | None = None,
) -> str | None:
    """End the key that a rotation has replaced by the current one; the version that carried it.

    None where there is none, where a person put the current value (then the person ends the old key), and
    where the current value or its `successor` goes on with it. The successor has just passed its test, so
    it is what the provider is asked with, where there is one of the same account.
    """
    if promoted_at_s(described, current) is None:
        return None
    previous = secret.version(described.version_with(PREVIOUS))
    if previous is None:
        return None
    in_force = [current.document("the current value")]
    authorities = in_force if successor is None else [successor, *in_force]
    kept = {keys.id_in(document, document) for document in authorities}
    for authority in authorities:
        key_id = _id_in(keys, previous, authority)
        if key_id is not None and key_id not in kept:
            keys.end(authority, key_id)
            return previous.id
    return None


def _id_in(keys: ProviderKeys, version: Version, current: Document) -> str | None:
    try:
        return keys.id_in(version.document("an old value"), current)
    except RotationError:
        return None
