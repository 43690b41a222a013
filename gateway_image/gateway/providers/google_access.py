"""Google's access tokens, from the moment the service account's key arrives."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping

from gateway.control.snapshot import Snapshot
from gateway.providers.adapter import HttpRequest, HttpResponse, ProviderError
from gateway.providers.google_tokens import GoogleTokens

LOOK_EVERY_S = 0.05


class GoogleAccess:
    """Joins the secret's snapshot to the tokens made from it.

    `tried` is False until the first exchange has succeeded or failed: before that it is not known whether
    Google can be called, and a gateway that was ready sooner would send its first requests elsewhere.
    """

    def __init__(
        self,
        secret: Snapshot[Mapping[str, object]],
        send: Callable[[HttpRequest], Awaitable[HttpResponse]],
    ) -> None:
        self.secret = secret
        self.tried = False
        self._changed = asyncio.Event()
        self._tokens = GoogleTokens(lambda: secret.value or {}, send, pause=self._unless_changed)

    def token(self) -> str | None:
        """The current access token; None where there is none."""
        return self._tokens.token()

    async def take_up(self, refused: object) -> None:
        """Read the key again, and exchange it where it is another one or `refused` is the token at hand."""
        await asyncio.to_thread(self.secret.refresh)
        with contextlib.suppress(ProviderError):  # `run` tries again and logs what is wrong
            await self._tokens.refresh(refused=refused)

    async def run(self) -> None:
        """Keep a token at hand until cancelled."""
        self._wake_on_change(asyncio.get_running_loop())
        while not self.secret.attempts:  # noqa: ASYNC110 - the snapshot belongs to a thread, which has no asyncio event
            await asyncio.sleep(LOOK_EVERY_S)
        with contextlib.suppress(ProviderError):  # `run` tries again and logs what is wrong
            await self._tokens.refresh()
        self.tried = True
        await self._tokens.run()

    def _wake_on_change(self, loop: asyncio.AbstractEventLoop) -> None:
        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and with it the need
                loop.call_soon_threadsafe(self._changed.set)

        self.secret.watch(wake)

    async def _unless_changed(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        self._changed.clear()
