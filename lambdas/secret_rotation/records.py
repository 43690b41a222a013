"""What a rotation writes down in the secret's tags, so that the next run can go on where one broke off.

`rotation-started-at`: before a key is made at the provider; moment, version, marks of the account and of
every key that it had then. Empty when nothing of that rotation can be left there.
`rotation-found-at`: when the sweep first sees a pending version without a value; moment, version.
`rotation-promoted-at`: before a version is made the current one; moment, version.

Tags hold nothing secret: a mark is the beginning of a SHA-256 of a key's id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from lambdas.secret_rotation import moment
from lambdas.secret_rotation.refusal import RotationError
from lambdas.secret_rotation.stored_secret import Description, StoredSecret, Version, continued_since_s

STARTED = "rotation-started-at"
FOUND = "rotation-found-at"
PROMOTED = "rotation-promoted-at"

LONGEST_TAG = 256
_MARK_CHARACTERS = 12


@dataclass(frozen=True, kw_only=True)
class Start:
    """A rotation that was about to make a key at the provider."""

    at_s: float
    version_id: str
    account_mark: str
    marks_before: frozenset[str]

    def made_since(self, account: str, key_ids: Iterable[str]) -> frozenset[str]:
        """Those of the account's keys that it did not have then; none where it is another account."""
        if _mark(account) != self.account_mark:
            return frozenset()
        return frozenset(key_id for key_id in key_ids if _mark(key_id) not in self.marks_before)


def write_start(
    secret: StoredSecret, version_id: str, account: str, key_ids: Iterable[str], now_s: float
) -> None:
    """Write down that a key is about to be made.

    Raises:
        RotationError: the provider holds more keys than a tag has room for.
    """
    marks = sorted(_mark(key_id) for key_id in key_ids)
    value = " ".join([moment.compact(now_s), version_id, _mark(account), *marks])
    if len(value) > LONGEST_TAG:
        raise RotationError(
            f"the provider holds {len(marks)} keys of this secret; delete those that nobody uses"
        )
    secret.tag(rotation_started_at=value)


def close_start(secret: StoredSecret) -> None:
    """Write down that nothing of the rotation is left at the provider."""
    secret.tag(rotation_started_at="")


def open_start(described: Description) -> Start | None:
    """The rotation that made a key, or was about to, and was not cleaned up after yet."""
    at_s, words = _read(described, STARTED)
    if at_s is None or len(words) < len(("version", "account")):
        return None
    version_id, account_mark, *marks = words
    return Start(at_s=at_s, version_id=version_id, account_mark=account_mark, marks_before=frozenset(marks))


def write_found(secret: StoredSecret, version_id: str, now_s: float) -> None:
    """Write down when a pending version without a value was first seen: Secrets Manager does not say."""
    secret.tag(rotation_found_at=f"{moment.compact(now_s)} {version_id}")


def found_at_s(described: Description, version_id: str) -> float | None:
    """When it was first seen; None where it was not."""
    return _of(described, FOUND, version_id)


def write_promoted(secret: StoredSecret, version_id: str, now_s: float) -> None:
    """Write down that a version is about to become the current one."""
    secret.tag(rotation_promoted_at=f"{moment.compact(now_s)} {version_id}")


def promoted_at_s(described: Description, version: Version) -> float | None:
    """When it became the current one by a rotation; None where somebody put it as such."""
    return _of(described, PROMOTED, version.id)


def current_since_s(described: Description, current: Version) -> float:
    """Since when the key of the current version is in force."""
    candidates = (promoted_at_s(described, current), continued_since_s(current))
    return next((at_s for at_s in candidates if at_s is not None), current.created_at_s)


def _of(described: Description, tag: str, version_id: str) -> float | None:
    at_s, words = _read(described, tag)
    return at_s if words[:1] == [version_id] else None


def _read(described: Description, tag: str) -> tuple[float | None, list[str]]:
    stamp, *words = described.tags.get(tag, "").split() or [""]
    return (moment.compact_s(stamp), words) if words else (None, [])


def _mark(key_id: str) -> str:
    return hashlib.sha256(key_id.encode()).hexdigest()[:_MARK_CHARACTERS]
