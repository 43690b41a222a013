"""Callers of the running gateway, and what each of their requests came to."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answered:
    """One request: when it was sent, how long it took, its status and the model that answered."""

    sent_at_s: float
    took_s: float
    model: str
    status: int
    answered_by: str


@dataclass
class Traffic:
    """Requests for `models`, in turn, by `callers` that wait `pause_s` between two of theirs."""

    url: str
    api_key: str
    models: Sequence[str]
    callers: int
    pause_s: float
    answered: list[Answered] = field(default_factory=list)

    @contextmanager
    def flowing(self) -> Iterator[Traffic]:
        """Requests are sent until the end of the block; those in flight then are waited for."""
        stop = threading.Event()
        threads = [
            threading.Thread(target=self._call, args=(number, stop), daemon=True)
            for number in range(self.callers)
        ]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    @property
    def failed(self) -> list[Answered]:
        """Those that did not get an answer of the model they asked for."""
        return [one for one in self.answered if one.status != 200 or one.model not in one.answered_by]

    def _call(self, number: int, stop: threading.Event) -> None:
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=30)
        asked = number
        while not stop.wait(self.pause_s):
            model = self.models[asked % len(self.models)]
            asked += 1
            self.answered.append(self._ask(connection, model))
        connection.close()

    def _ask(self, connection: http.client.HTTPConnection, model: str) -> Answered:
        sent_at_s = time.time()
        body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Good day"}]})
        headers = {"authorization": f"Bearer {self.api_key}", "content-type": "application/json"}
        try:
            connection.request("POST", "/v1/chat/completions", body, headers)
            answer = connection.getresponse()
            status, text = answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            status, text = 0, type(error).__name__
        answered_by = json.loads(text).get("model", "") if status == 200 else text[:300]
        return Answered(sent_at_s, time.time() - sent_at_s, model, status, answered_by)
