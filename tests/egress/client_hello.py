"""TLS client hellos, byte by byte, in every shape that a test wants.

RFC 8446 section 4.1.2 and RFC 6066 section 3.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

TLS_1_0, TLS_1_1, TLS_1_2, TLS_1_3 = 0x0301, 0x0302, 0x0303, 0x0304
SSL_3_0 = 0x0300

SERVER_NAME, SUPPORTED_GROUPS, ALPN, SUPPORTED_VERSIONS, KEY_SHARE = 0, 10, 16, 43, 51
ENCRYPTED_CLIENT_HELLO = 0xFE0D
GREASE = 0x0A0A

Extension = tuple[int, bytes]


def _vector(content: bytes, length_bytes: int) -> bytes:
    return len(content).to_bytes(length_bytes, "big") + content


def server_name(*names: str | bytes) -> Extension:
    """The extension with these names; RFC 6066 allows one."""
    entries = b"".join(
        b"\0" + _vector(name if isinstance(name, bytes) else name.encode("latin-1"), 2) for name in names
    )
    return SERVER_NAME, _vector(entries, 2)


def post_quantum_key_share() -> Extension:
    """X25519MLKEM768 as OpenSSL 3.5 sends it: 1,216 bytes, so that a hello needs two segments."""
    return KEY_SHARE, _vector(struct.pack("!H", 0x11EC) + _vector(bytes(1216), 2), 2)


def encrypted_client_hello() -> Extension:
    """An outer ECH extension with made-up ciphertext; browsers send the like as GREASE, too."""
    return ENCRYPTED_CLIENT_HELLO, b"\0" + struct.pack("!HHB", 1, 1, 7) + _vector(bytes(32), 2) + _vector(
        bytes(144), 2
    )


def handshake(extensions: Sequence[Extension] | None, version: int = TLS_1_3) -> bytes:
    """A ClientHello message without its record; no extensions at all where they are None."""
    legacy = min(version, TLS_1_2)
    body = struct.pack("!H", legacy) + bytes(range(32)) + _vector(bytes(32), 1)
    body += _vector(struct.pack("!4H", 0x1301, 0x1302, 0xC02F, 0xC030), 2) + _vector(b"\0", 1)
    if extensions is not None:
        if version == TLS_1_3:
            extensions = [*extensions, (SUPPORTED_VERSIONS, _vector(struct.pack("!2H", TLS_1_3, TLS_1_2), 1))]
        encoded = b"".join(struct.pack("!H", kind) + _vector(content, 2) for kind, content in extensions)
        body += _vector(encoded, 2)
    return b"\x01" + _vector(body, 3)


def record(content: bytes, version: int = TLS_1_0, kind: int = 22) -> bytes:
    """One TLS record."""
    return struct.pack("!BH", kind, version) + _vector(content, 2)


def hello(*names: str | bytes, version: int = TLS_1_3, more: Sequence[Extension] = ()) -> bytes:
    """A ClientHello record that names a server, or none where no name is given."""
    named = [server_name(*names)] if names else []
    groups = (SUPPORTED_GROUPS, _vector(struct.pack("!2H", 0x001D, 0x0017), 2))
    protocols = (ALPN, _vector(_vector(b"http/1.1", 1), 2))
    return record(handshake([groups, *named, protocols, *more], version), min(version, TLS_1_0 + 2))


def application_data(size: int = 200) -> bytes:
    """A record of encrypted content."""
    return record(bytes(size), TLS_1_2, kind=23)
