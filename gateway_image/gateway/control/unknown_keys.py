"""A caller's key that is not known is compared with what the store holds by now: it may just be promoted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from gateway.control.secrets import KeyRing
from gateway.control.snapshot import Snapshot
from gateway.control.take_up import READ_EVERY_S, TakeUp

LONGEST_WAIT_S = 1.0
"""For one request: whoever presents a wrong key is refused within it, whatever the store does."""

MOST_WAITING = 500
"""Beyond them an unknown key is refused at once: guesses must neither fill the gateway nor make it scale."""


class UnknownKeys:
    """Looks for unknown keys in the store behind `keys`: once in `read_every_s`, however many there are."""

    def __init__(
        self,
        keys: Snapshot[KeyRing],
        *,
        read_every_s: float = READ_EVERY_S,
        longest_wait_s: float = LONGEST_WAIT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = keys
        self._longest_wait_s = longest_wait_s
        self._clock = clock
        self._waiting = 0
        self._take_up = TakeUp(
            lambda: keys.value,
            self._read,
            read_every_s=read_every_s,
            longest_wait_s=longest_wait_s,
            clock=clock,
        )

    async def accepts_by_now(self, presented: str, refused_by: KeyRing) -> bool:
        """Whether `presented`, which `refused_by` does not accept, is a key after a look at the store."""
        if self._waiting >= MOST_WAITING:
            return False
        self._waiting += 1
        try:
            return await self._found(presented, refused_by)
        finally:
            self._waiting -= 1

    async def _found(self, presented: str, refused_by: KeyRing) -> bool:
        """Look until it is found or the time is over.

        A look that began before the promotion may end after it, so there may be another.
        """
        ends_at_s = self._clock() + self._longest_wait_s
        known: KeyRing | None = refused_by
        while await self._take_up.has_another_than(known, within_s=ends_at_s - self._clock(), patient=True):
            known = self._keys.value
            if known is not None and known.accepts(presented):
                return True
        return False

    async def _read(self, _refused: object) -> None:
        await asyncio.to_thread(self._keys.refresh)
