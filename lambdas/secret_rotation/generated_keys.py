"""The gateway's own keys: drawn here, and both the new and the one before are accepted for a while."""

from __future__ import annotations

import re
import secrets
import string
from typing import Final

from lambdas.secret_rotation.document import Document, text_in
from lambdas.secret_rotation.patience import Patience
from lambdas.secret_rotation.refusal import RotationError
from lambdas.secret_rotation.settings import GeneratedKeys
from lambdas.secret_rotation.strategy import Strategy

KEY_CHARACTERS: Final = 48
"""Letters and digits, 285 bits; as the first key is that the stack draws."""

_ALPHABET = string.ascii_letters + string.digits
_USABLE = re.compile(r"[!-~]{16,}")
"""What a header carries and nobody guesses."""


class GeneratedKeysStrategy(Strategy):
    """`{"current": new, "previous": the one before}`."""

    def __init__(self, kind: GeneratedKeys) -> None:
        self._kind = kind

    def new_document(self, current: Document, version_id: str) -> Document:  # noqa: ARG002
        """See `Strategy.new_document`."""
        previous = text_in(current, "current", "the current value")
        drawn = "".join(secrets.choice(_ALPHABET) for _ in range(KEY_CHARACTERS))
        return {"current": drawn, "previous": previous}

    def test(self, pending: Document, current: Document, patience: Patience) -> None:  # noqa: ARG002
        """See `Strategy.test`: shape, and that no caller is cut off. There is nobody to try it on."""
        new = text_in(pending, "current", "the pending value")
        if not _USABLE.fullmatch(new):
            raise RotationError(
                "`current` of the pending value is no text of 16 visible ASCII characters or more"
            )
        now = current.get("current")
        if new in (now, current.get("previous")):
            raise RotationError("`current` of the pending value is not new: it is accepted already")
        if now and pending.get("previous") != now:
            raise RotationError(
                "`previous` of the pending value is not the current key, whose callers would be cut off; "
                "put the current key there"
            )

    def without_expired(self, current: Document, current_for_s: float) -> Document | None:
        """See `Strategy.without_expired`: the one before, when the overlap is over."""
        if not current.get("previous") or current_for_s < self._kind.overlap_s:
            return None
        return {**current, "previous": ""}
