"""Asks the emulated AWS whether whoever signed a request may invoke the model.

The simulation answers like Bedrock and knows no IAM; the emulator knows IAM. The request is put to the
emulator's Bedrock as it came, signature included, and only the emulator's refusal is passed on.
"""

from __future__ import annotations

import re
import time

import aiohttp
import msgspec
from yarl import URL

from local.providers.exchange import Received, RefusalError

_ACCESS_KEY = re.compile(r"Credential=([^/]+)/")
_TRUSTED_S = 1.0
"""Load is not slowed down by asking for every request; a change of permissions takes longer on AWS."""
_TIMEOUT = aiohttp.ClientTimeout(total=10)
_NOT_PASSED_ON = frozenset({"content-length", "transfer-encoding", "connection"})
_FORBIDDEN = 403


class Authority:
    """The emulator at `url`, or nobody, who then allows everything."""

    def __init__(self, url: str | None) -> None:
        self._url = url
        self._session: aiohttp.ClientSession | None = None
        self._allowed_until_s: dict[tuple[str, str], float] = {}

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def refusal(self, received: Received) -> RefusalError | None:
        """Why the request may not be served, or None. Only signed requests have somebody to ask about."""
        key = _ACCESS_KEY.search(received.headers.get("authorization", ""))
        if self._url is None or key is None:
            return None
        asked = (key[1], received.raw_path)
        if self._allowed_until_s.get(asked, 0.0) > time.monotonic():
            return None
        try:
            refused = await self._ask(self._url, received)
        except (aiohttp.ClientError, TimeoutError) as error:
            return RefusalError(503, f"the emulated IAM at {self._url} does not answer: {error}")
        if refused is None:
            self._allowed_until_s[asked] = time.monotonic() + _TRUSTED_S
        return refused

    async def _ask(self, url: str, received: Received) -> RefusalError | None:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_TIMEOUT, auto_decompress=False)
        headers = {name: value for name, value in received.headers.items() if name not in _NOT_PASSED_ON}
        target = URL(f"{url}{received.raw_path}", encoded=True)
        async with self._session.post(target, headers=headers, data=received.body) as answer:
            body = await answer.read()
        if answer.status != _FORBIDDEN:
            return None
        code = answer.headers.get("x-amzn-errortype", "AccessDeniedException")
        return RefusalError(_FORBIDDEN, _message(body), code=code.partition(":")[0])


def _message(body: bytes) -> str:
    try:
        return str(msgspec.json.decode(body, type=dict[str, object]).get("message", ""))
    except msgspec.MsgspecError:
        return body.decode("utf-8", "replace")
