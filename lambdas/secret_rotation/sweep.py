"""What no rotation does by itself, every few minutes: finish, clean up, end old keys, measure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from botocore.exceptions import ClientError

from lambdas.secret_rotation.document import Document
from lambdas.secret_rotation.patience import Patience
from lambdas.secret_rotation.promotion import is_overtaken, promote
from lambdas.secret_rotation.provider_cleanup import end_orphans, end_previous
from lambdas.secret_rotation.records import (
    STARTED,
    close_start,
    current_since_s,
    found_at_s,
    open_start,
    promoted_at_s,
    write_found,
)
from lambdas.secret_rotation.refusal import RotationError, in_words
from lambdas.secret_rotation.scope import Scope
from lambdas.secret_rotation.stored_secret import Description, StoredSecret, Version, continuing_id
from lambdas.secret_rotation.strategy import Strategy
from lambdas.secret_rotation.vault import CURRENT, PENDING, PREVIOUS

GIVEN_UP_AFTER_S: Final = 86_400.0
"""Secrets Manager tries a failed rotation again for about a day."""

LEFT_ALONE_S: Final = 900.0
"""So long a rotation that made a key at a provider is Secrets Manager's alone: the key may not work yet."""

OVERLAP_ENDED: Final = "OVERLAP_ENDED"
"""Label of a version between being written and becoming current; not AWSPENDING, which means a rotation."""

A_DAY_S: Final = 86_400.0


@dataclass(frozen=True, kw_only=True)
class Swept:
    """What came of one secret's sweep. `age_days` is None where no value is set or it cannot be read."""

    done: tuple[str, ...]
    problems: tuple[str, ...]
    age_days: float | None


class Sweep:
    """Sweeps one secret. A duty that fails keeps no other from being done."""

    def __init__(
        self, secret: StoredSecret, *, strategy: Strategy, scope: Scope, now_s: Callable[[], float]
    ) -> None:
        self._secret = secret
        self._strategy = strategy
        self._scope = scope
        self._now_s = now_s

    def run(self) -> Swept:
        """Do everything that is due."""
        done: list[str] = []
        problems: list[str] = []
        for duty in (self._settle_pending, self._end_orphans, self._end_previous, self._end_overlap):
            try:
                done.extend(duty())
            except (RotationError, ClientError) as error:
                problems.append(in_words(error))
        age_days = None
        try:
            age_days = self._age_days()
        except (RotationError, ClientError) as error:
            problems.append(in_words(error))
        return Swept(done=tuple(done), problems=tuple(dict.fromkeys(problems)), age_days=age_days)

    def _settle_pending(self) -> Iterator[str]:
        """Promote what passes its test; take the label off what did not get through.

        Secrets Manager starts no rotation while AWSPENDING is on another version than AWSCURRENT.
        """
        described = self._secret.describe()
        version_id = described.version_with(PENDING)
        if version_id is None:
            return
        if version_id == described.version_with(CURRENT):
            self._secret.take_off(PENDING, version_id)
            yield "took the last label off a finished rotation"
            return
        pending = self._secret.version(version_id)
        if pending is None:
            yield from self._wait_for_a_value(version_id, described)
        elif is_overtaken(pending, self._secret.current(described), described):
            self._secret.take_off(PENDING, version_id)
            yield "gave up a rotation: a current value was put after it began"
        elif self._is_left_alone(version_id, described):
            yield "left a rotation alone that began just now"
        else:
            self._promote(pending, described)
            yield "promoted the pending value"

    def _is_left_alone(self, version_id: str, described: Description) -> bool:
        start = open_start(described)
        return (
            start is not None and start.version_id == version_id and self._now_s() - start.at_s < LEFT_ALONE_S
        )

    def _wait_for_a_value(self, version_id: str, described: Description) -> Iterator[str]:
        start = open_start(described)
        found_s = found_at_s(described, version_id)
        if start is not None and start.version_id == version_id:
            found_s = start.at_s
        if found_s is None:
            write_found(self._secret, version_id, self._now_s())
        elif self._now_s() - found_s >= GIVEN_UP_AFTER_S:
            self._secret.take_off(PENDING, version_id)
            raise RotationError("a rotation made no value within a day and was given up; start another")
        yield "left a rotation alone that has no value yet"

    def _promote(self, pending: Version, described: Description) -> None:
        try:
            promote(
                self._secret,
                pending,
                self._secret.current(described),
                described,
                strategy=self._strategy,
                scope=self._scope,
                patience=self._no_patience(),
            )
        except RotationError as error:
            if self._now_s() - pending.created_at_s < GIVEN_UP_AFTER_S:
                raise RotationError(f"the pending value is not promoted: {error}") from None
            self._secret.take_off(PENDING, pending.id)
            raise RotationError(
                f"the pending value was not fit for promotion for a day and was given up: {error}"
            ) from None

    def _no_patience(self) -> Patience:
        return Patience(ends_at_s=self._now_s(), now_s=self._now_s, sleep=lambda _pause_s: None)

    def _end_orphans(self) -> Iterator[str]:
        """End what rotations that are over have left at the provider.

        Looked for until no key can turn up any more: what providers list is eventually consistent.
        """
        keys = self._strategy.provider_keys
        before = self._secret.describe()
        start = open_start(before)
        if keys is None or start is None or before.open_pending is not None:
            return
        key_ids = keys.ids(self._current(before))
        # A rotation that began since then may have made one of these keys; its label is on by now.
        described = self._secret.describe()
        if described.open_pending is not None or described.tags.get(STARTED) != before.tags.get(STARTED):
            return
        ended = end_orphans(self._secret, keys, self._current(described), described, start, key_ids)
        if self._now_s() - start.at_s >= LEFT_ALONE_S:
            close_start(self._secret)
        if ended:
            yield f"ended {ended} keys that no version carries"

    def _end_previous(self) -> Iterator[str]:
        """End the key that was replaced, when its grace period is over."""
        keys = self._strategy.provider_keys
        described = self._secret.describe()
        if keys is None or described.open_pending is not None or described.version_with(PREVIOUS) is None:
            return
        current = self._secret.current(described)
        promoted_s = promoted_at_s(described, current)
        if promoted_s is None or self._now_s() - promoted_s < keys.grace_s:
            return
        self._scope.refuse_foreign(current.document("the current value"), "the current value")
        ended = end_previous(self._secret, keys, described, current)
        if ended is not None:
            self._secret.take_off(PREVIOUS, ended)
            yield "ended the key before the current one"

    def _end_overlap(self) -> Iterator[str]:
        """Write the current value again without what has had its time.

        The label moves only from the version that was read, so that a value put meanwhile stays.
        """
        described = self._secret.describe()
        if described.open_pending is not None:
            return
        current = self._secret.current(described)
        since_s = current_since_s(described, current)
        document = current.document("the current value")
        shorter = self._strategy.without_expired(document, self._now_s() - since_s)
        if shorter is None:
            return
        self._scope.refuse_foreign(document, "the current value")
        version_id = continuing_id(current, since_s)
        self._secret.put(version_id, shorter, OVERLAP_ENDED)
        self._secret.replace_current(by=version_id, instead_of=current.id)
        yield "ended the overlap of the previous key"

    def _age_days(self) -> float | None:
        described = self._secret.describe()
        current = self._secret.current(described)
        document = current.document("the current value")
        if not document:
            return None
        self._scope.refuse_foreign(document, "the current value")
        return max(0.0, self._now_s() - current_since_s(described, current)) / A_DAY_S

    def _current(self, described: Description) -> Document:
        document = self._secret.current(described).document("the current value")
        self._scope.refuse_foreign(document, "the current value")
        return document
