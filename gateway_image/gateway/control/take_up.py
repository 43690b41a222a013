"""A credential that a provider refuses is looked up again at once: it may just have been rotated."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

READ_EVERY_S = 2.0
"""However many calls are refused, the store is read once in this time: a wrong key makes no storm."""

LONGEST_WAIT_S = 3.0
"""For one request; a store that hangs must not keep it from another provider for longer."""


class TakeUp:
    """Looks for the successor of a refused credential, once for all requests that were refused.

    `in_force` gives the credential that the next call would use, None where there is none; it is compared
    and never shown. `read` reads its store again, told which credential was refused, and does not raise.
    """

    def __init__(
        self,
        in_force: Callable[[], object],
        read: Callable[[object], Awaitable[None]],
        *,
        read_every_s: float = READ_EVERY_S,
        longest_wait_s: float = LONGEST_WAIT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.in_force = in_force
        self._read = read
        self._read_every_s = read_every_s
        self._longest_wait_s = longest_wait_s
        self._clock = clock
        self._reading: asyncio.Future[None] | None = None
        self._began_at_s = -read_every_s
        self._in_vain: object = None

    async def has_another_than(self, refused: object, *, within_s: float, patient: bool) -> bool:
        """Whether a credential other than `refused` is in force, after a look at the store where need be.

        The look that another request began serves this one as well. A `patient` request waits for the next
        look, too, because a provider may refuse the old key a moment before the store has the new one; but
        only while it is not known of this credential that waiting is in vain.
        """
        waits = patient and refused != self._in_vain
        asked_at_s = self._clock()
        ends_at_s = asked_at_s + min(within_s, self._longest_wait_s)
        decided_by_s = asked_at_s + (self._read_every_s if waits else 0.0)
        while self.in_force() in (None, refused):
            now_s = self._clock()
            opens_at_s = self._began_at_s + self._read_every_s
            if now_s >= ends_at_s:
                return False
            if self._reading is not None and not self._reading.done():
                await asyncio.wait({self._reading}, timeout=ends_at_s - now_s)
            elif self._began_at_s >= decided_by_s:
                self._in_vain = refused if waits else self._in_vain
                return False
            elif now_s >= opens_at_s:
                self._began_at_s = now_s
                self._reading = asyncio.ensure_future(self._read(refused))
            elif waits and opens_at_s < ends_at_s:
                await asyncio.sleep(opens_at_s - now_s)
            else:
                return False
        return True
