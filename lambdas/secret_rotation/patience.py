"""How long a new key may take to work: providers spread them over their machines first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lambdas.secret_rotation.refusal import RotationError

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 16.0


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Tries until `ends_at_s`, with growing pauses."""

    ends_at_s: float
    now_s: Callable[[], float]
    sleep: Callable[[float], None]

    def insist(self, attempt: Callable[[], None]) -> None:
        """Make the attempt until it succeeds or patience ends; at least once.

        Raises:
            RotationError: of the last attempt.
        """
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                return attempt()
            except RotationError:
                if self.now_s() + pause_s > self.ends_at_s:
                    raise
            self.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
