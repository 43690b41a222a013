"""The directory that a local PostgreSQL asks about passwords: it knows tokens, and one operation of LDAP.

PostgreSQL hands a password of any length to a directory by a simple bind (RFC 4511, section 4.2), which makes
it the one unmodified way to have tokens of Amazon RDS checked, that are made anew for each connection.
"""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable
from typing import Protocol

Objection = Callable[[str, str], str | None]
"""Takes password and user; says what is wrong, None where nothing is."""

_MESSAGE, _INTEGER, _OCTETS, _ENUMERATED = 0x30, 0x02, 0x04, 0x0A
_BIND, _BIND_ANSWER, _SIMPLE = 0x60, 0x61, 0x80
_SUCCESS, _INVALID_CREDENTIALS = 0, 49
USER_PREFIX = "uid="
"""What stands before the user in the name to be bound: without any, there would be no name to look for."""
_LONGEST_MESSAGE = 64 * 1024
_PATIENCE_S = 5.0


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


class TokenDirectory:
    """Answers binds on a loopback port of its own until it is closed."""

    def __init__(self, objection: Objection, log: Callable[[str], None]) -> None:
        class Conversation(socketserver.StreamRequestHandler):
            timeout = _PATIENCE_S

            def handle(self) -> None:
                while (bind := _read_bind(self.rfile)) is not None:
                    number, user, password = bind
                    wrong = objection(password, user)
                    if wrong:
                        log(f"password of {user!r} refused: {wrong}")
                    self.wfile.write(_answer(number, _INVALID_CREDENTIALS if wrong else _SUCCESS))

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Conversation)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()

    def close(self) -> None:
        """Answer nobody any more."""
        self._server.shutdown()
        self._server.server_close()


def _read_bind(stream: _Stream) -> tuple[bytes, str, str] | None:
    """Message number, user and password of the next bind; None where something else or nothing comes."""
    try:
        tag, message = _element(stream.read, _LONGEST_MESSAGE)
        reading = _Reading(message)
        number_tag, number = reading.element()
        operation, body = reading.element()
        if (tag, number_tag, operation) != (_MESSAGE, _INTEGER, _BIND):
            return None
        bind = _Reading(body)
        _version, (_, name), (kind, password) = bind.element(), bind.element(), bind.element()
    except (ValueError, OSError):
        return None
    if kind != _SIMPLE or not password:
        return None
    return number, name.decode().removeprefix(USER_PREFIX), password.decode()


class _Reading:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def element(self) -> tuple[int, bytes]:
        return _element(self._take, len(self._data))

    def _take(self, length: int) -> bytes:
        taken, self._data = self._data[:length], self._data[length:]
        return taken


def _element(read: Callable[[int], bytes], longest: int) -> tuple[int, bytes]:
    """Tag and content of one element of BER (X.690)."""
    tag, length = _exactly(read, 2)
    if length & 0x80:
        length = int.from_bytes(_exactly(read, length & 0x7F), "big")
    if length > longest:
        raise ValueError("an element is longer than what it is part of")
    return tag, _exactly(read, length)


def _exactly(read: Callable[[int], bytes], length: int) -> bytes:
    data = read(length)
    if len(data) < length:
        raise ValueError("the message ends early")
    return data


def _answer(number: bytes, code: int) -> bytes:
    nothing = _encoded(_OCTETS, b"")
    result = _encoded(_BIND_ANSWER, _encoded(_ENUMERATED, bytes([code])) + nothing + nothing)
    return _encoded(_MESSAGE, _encoded(_INTEGER, number) + result)


def _encoded(tag: int, content: bytes) -> bytes:
    return bytes([tag, len(content)]) + content
