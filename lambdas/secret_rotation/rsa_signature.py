"""RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, 8.2), from a PEM key, with the standard library alone.

Why it is our own: docs/decisions/rsa-in-a-function.md.
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field

from lambdas.secret_rotation.refusal import RotationError

SMALLEST_KEY_BITS = 1024

_PEM = re.compile(
    r"-----BEGIN (?P<form>RSA PRIVATE KEY|PRIVATE KEY)-----(?P<body>[A-Za-z0-9+/=\s]+)-----END \1-----"
)
_INTEGER, _OCTET_STRING, _SEQUENCE = 0x02, 0x04, 0x30
_RSA_ENCRYPTION = bytes.fromhex("06092a864886f70d010101")
"""Object identifier 1.2.840.113549.1.1.1, RFC 8017, A.1."""
_SHA256_DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
"""RFC 8017, 9.2, note 1."""


@dataclass(frozen=True, kw_only=True, repr=False)
class PrivateKey:
    """An RSA key with two primes; members as in RFC 8017, 3.2."""

    n: int
    e: int
    p: int
    q: int
    d_p: int
    d_q: int
    q_inv: int
    size_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size_bytes", (self.n.bit_length() + 7) // 8)

    def sign(self, message: bytes) -> bytes:
        """The signature of a message.

        The base is blinded, so that the time tells nothing of the key, and the result is verified, because
        one wrong half of the remainder theorem's two would give away a prime (Boneh, DeMillo, Lipton 1997).
        """
        encoded = _encoded(message, self.size_bytes)
        blinding = self._blinding()
        blinded = encoded * pow(blinding, self.e, self.n) % self.n
        signature = self._root(blinded) * pow(blinding, -1, self.n) % self.n
        if pow(signature, self.e, self.n) != encoded:
            raise RotationError("`private_key` is no consistent RSA key: its own signature does not verify")
        return signature.to_bytes(self.size_bytes, "big")

    def _root(self, base: int) -> int:
        """`base` to the private exponent, by the Chinese remainder theorem: RFC 8017, 5.1.2."""
        m_1, m_2 = pow(base, self.d_p, self.p), pow(base, self.d_q, self.q)
        return m_2 + self.q * ((m_1 - m_2) * self.q_inv % self.p)

    def _blinding(self) -> int:
        while True:
            factor = secrets.randbelow(self.n - 2) + 2
            if math.gcd(factor, self.n) == 1:
                return factor


def parse_private_key(pem: str) -> PrivateKey:
    """Read a key in PKCS#8 (as Google issues it) or PKCS#1, unencrypted.

    Raises:
        RotationError: it is none. Nothing of it is repeated.
    """
    match = _PEM.search(pem)
    if match is None:
        raise RotationError("`private_key` is no unencrypted RSA key in PEM")
    try:
        der = base64.b64decode("".join(match["body"].split()), validate=True)
        return _rsa_private_key(der if match["form"].startswith("RSA") else _inside_pkcs8(der))
    except (ValueError, IndexError):
        raise RotationError("`private_key` is no readable RSA key") from None


def _inside_pkcs8(der: bytes) -> bytes:
    """The key inside a PrivateKeyInfo, RFC 5208: version, algorithm, key."""
    _version, (_tag, algorithm), (tag, key), *_attributes = _members(der)
    if not algorithm.startswith(_RSA_ENCRYPTION) or tag != _OCTET_STRING:
        raise ValueError("no RSA key")
    return key


def _rsa_private_key(der: bytes) -> PrivateKey:
    """RFC 8017, A.1.2: version, n, e, d, p, q, d mod (p − 1), d mod (q − 1), q⁻¹ mod p."""
    version, n, e, _d, p, q, d_p, d_q, q_inv = (_integer(member) for member in _members(der))
    if version != 0 or p * q != n or e < 3 or n.bit_length() < SMALLEST_KEY_BITS:
        raise ValueError("no usable key with two primes")
    return PrivateKey(n=n, e=e, p=p, q=q, d_p=d_p, d_q=d_q, q_inv=q_inv)


def _integer(member: tuple[int, bytes]) -> int:
    tag, content = member
    if tag != _INTEGER or not content or content[0] & 0x80:
        raise ValueError("no positive integer")
    return int.from_bytes(content, "big")


def _members(der: bytes) -> list[tuple[int, bytes]]:
    """The members of the one SEQUENCE that `der` is."""
    ((tag, content),) = _elements(der)
    if tag != _SEQUENCE:
        raise ValueError("no sequence")
    return list(_elements(content))


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Tags and contents, one after the other (X.690, definite lengths)."""
    position = 0
    while position < len(der):
        tag, length = der[position], der[position + 1]
        position += 2
        if length & 0x80:
            octets = length & 0x7F
            if not 1 <= octets <= len(der) - position:
                raise ValueError("no definite length")
            length = int.from_bytes(der[position : position + octets], "big")
            position += octets
        content = der[position : position + length]
        if len(content) != length:
            raise ValueError("cut short")
        yield tag, content
        position += length


def _encoded(message: bytes, size_bytes: int) -> int:
    """EMSA-PKCS1-v1_5, RFC 8017, 9.2."""
    digest_info = _SHA256_DIGEST_INFO + hashlib.sha256(message).digest()
    padding = b"\xff" * (size_bytes - len(digest_info) - 3)
    return int.from_bytes(b"\x00\x01" + padding + b"\x00" + digest_info, "big")
