"""AWS's binary event stream: frames with headers, a payload and checksums.

https://docs.aws.amazon.com/transcribe/latest/dg/streaming-setting-up.html#streaming-event-stream. botocore's
`EventStreamBuffer` reads the same, which a test holds; this one takes less than half of its time, and its
limit is ours: botocore's holds back up to 24 MB, and copies them with every piece.
"""

from __future__ import annotations

import struct
from zlib import crc32

import msgspec

from gateway.providers.event_lines import MAXIMUM_EVENT_BYTES
from gateway.providers.http_answer import broken_answer

_PRELUDE_BYTES = 12
_CHECKSUM_BYTES = 4
_prelude = struct.Struct(">III")
_checksum = struct.Struct(">I")
_TEXT = 7
_LENGTH_OF_TYPE = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Bytes of a header's value by its type; bytes (6) and text (7) say their length themselves."""


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One event: its text headers and its payload."""

    headers: dict[str, str]
    payload: bytes


class EventStream:
    """Gives the frames that are complete, and holds back at most one that is not."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._buffer = bytearray()

    def feed(self, piece: bytes) -> list[Frame]:
        """The frames that `piece` completes.

        Raises:
            ProviderError: `PROTOCOL` where a frame is damaged or too large; nothing after it can be read.
        """
        self._buffer += piece
        frames: list[Frame] = []
        start = 0
        while len(self._buffer) - start >= _PRELUDE_BYTES:
            size, headers_size, stated = _prelude.unpack_from(self._buffer, start)
            self._check_prelude(start, size, headers_size, stated)
            if len(self._buffer) - start < size:
                break
            frames.append(self._frame(bytes(self._buffer[start : start + size]), headers_size))
            start += size
        del self._buffer[:start]
        return frames

    def _check_prelude(self, start: int, size: int, headers_size: int, stated: int) -> None:
        if crc32(self._buffer[start : start + 8]) != stated:
            raise broken_answer(self._provider, "the checksum of a frame's prelude is wrong")
        if size > MAXIMUM_EVENT_BYTES:
            raise broken_answer(self._provider, f"an event exceeds {MAXIMUM_EVENT_BYTES} bytes")
        if headers_size > size - _PRELUDE_BYTES - _CHECKSUM_BYTES:
            raise broken_answer(self._provider, "a frame is shorter than its headers")

    def _frame(self, frame: bytes, headers_size: int) -> Frame:
        end = len(frame) - _CHECKSUM_BYTES
        if crc32(frame[:end]) != _checksum.unpack_from(frame, end)[0]:
            raise broken_answer(self._provider, "the checksum of a frame is wrong")
        headers_end = _PRELUDE_BYTES + headers_size
        return Frame(self._headers(frame[_PRELUDE_BYTES:headers_end]), frame[headers_end:end])

    def _headers(self, encoded: bytes) -> dict[str, str]:
        headers: dict[str, str] = {}
        position = 0
        try:
            while position < len(encoded):
                name_end = position + 1 + encoded[position]
                name, kind = encoded[position + 1 : name_end].decode(), encoded[name_end]
                position = name_end + 1
                length = _LENGTH_OF_TYPE.get(kind)
                if length is None:
                    length = int.from_bytes(encoded[position : position + 2])
                    position += 2
                if kind == _TEXT:
                    headers[name] = encoded[position : position + length].decode()
                position += length
        except (IndexError, UnicodeDecodeError):
            raise broken_answer(self._provider, "the headers of a frame cannot be read") from None
        if position > len(encoded):
            raise broken_answer(self._provider, "the headers of a frame cannot be read")
        return headers
