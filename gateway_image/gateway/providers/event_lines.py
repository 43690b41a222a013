"""Server-sent events, as a stream of bytes that is split anywhere brings them.

https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream. Of the fields only
`data` matters here: no provider says anything in another one that it does not say in the data.
"""

from __future__ import annotations

from gateway.providers.http_answer import broken_answer

MAXIMUM_EVENT_BYTES = 2 * 1024 * 1024
"""No event of a completion is this large; reading on would only spend memory."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_CARRIAGE_RETURN, _LINE_FEED = b"\r", b"\n"


class EventLines:
    """Gives the data of each event that is complete, and holds back at most one that is not."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._line = bytearray()
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._after_carriage_return = False
        self._at_start = True

    def feed(self, piece: bytes) -> list[bytes]:
        """The data of the events that `piece` completes.

        Raises:
            ProviderError: `PROTOCOL` where an event exceeds `MAXIMUM_EVENT_BYTES`.
        """
        if self._after_carriage_return and piece:
            piece = piece.removeprefix(_LINE_FEED)
            self._after_carriage_return = False
        events: list[bytes] = []
        for line in piece.splitlines(keepends=True):
            if line[-1:] in (_LINE_FEED, _CARRIAGE_RETURN):
                self._take(line.rstrip(b"\r\n"), events)
            else:
                self._line += line
                self._check_size(len(self._line))
        self._after_carriage_return = self._after_carriage_return or piece.endswith(_CARRIAGE_RETURN)
        return events

    def end(self) -> list[bytes]:
        """The event at the end that no blank line completes: servers leave it out."""
        events: list[bytes] = []
        self._take(b"", events)
        self._take(b"", events)
        return events

    def _take(self, ending: bytes, events: list[bytes]) -> None:
        """Take the line that `ending` ends."""
        line = ending
        if self._line:
            line = bytes(self._line + ending)
            self._line.clear()
        self._check_size(len(line))
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if not line:
            self._complete(events)
        elif line.startswith(b"data:") or line == b"data":
            self._data.append(line[5:].removeprefix(b" "))
            self._data_bytes += len(line)

    def _complete(self, events: list[bytes]) -> None:
        """Empty data is nobody's event; some servers keep connections alive with it."""
        data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
        if data:
            events.append(data)
        self._data.clear()
        self._data_bytes = 0

    def _check_size(self, line_bytes: int) -> None:
        if self._data_bytes + line_bytes > MAXIMUM_EVENT_BYTES:
            raise broken_answer(self._provider, f"an event exceeds {MAXIMUM_EVENT_BYTES} bytes", 200)
