"""Keys of callers and providers, taken up from Secrets Manager while the gateway runs."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

from gateway.control.snapshot import Loaded

if TYPE_CHECKING:
    from types_boto3_secretsmanager.client import SecretsManagerClient

T = TypeVar("T")
ProviderSecret = Mapping[str, object]


NO_CREDENTIAL = "no credential is set for the provider"
UNUSABLE_API_KEY = (
    "the provider's `api_key` is no text of visible ASCII characters, so no header can carry it; set it anew "
    "without line breaks and blanks"
)
_API_KEY = re.compile(r"[!-~]+")


class KeyRing:
    """The keys accepted now: the current one and, while callers change over, the previous one.

    Only digests are kept, and all are compared in constant time, so that neither a memory dump nor the
    time of an answer tells a key.
    """

    def __init__(self, keys: tuple[str, ...]) -> None:
        self._digests = tuple(_digest(key) for key in keys)

    def accepts(self, presented: str) -> bool:
        """Whether `presented` is one of the keys."""
        digest = _digest(presented)
        accepted = False
        for known in self._digests:
            accepted |= hmac.compare_digest(digest, known)
        return accepted


class _Keys(msgspec.Struct, frozen=True):
    current: str
    previous: str = ""


def parse_key_ring(text: str) -> KeyRing:
    """Read `{"current": "…", "previous": "…"}`.

    Raises:
        ValueError: it is of another shape, or holds no key. The text is not repeated in the error.
    """
    keys = msgspec.json.decode(text, type=_Keys)
    present = tuple(key for key in (keys.current, keys.previous) if key)
    if not present:
        raise ValueError("neither `current` nor `previous` holds a key; set `current`")
    return KeyRing(present)


def parse_provider_secret(text: str) -> ProviderSecret:
    """Read a provider's secret, any JSON object; `{}` until an operator sets it.

    Raises:
        ValueError: it is no JSON object.
    """
    return msgspec.json.decode(text, type=dict[str, object])


def api_key_obstacle(secret: ProviderSecret | None) -> str | None:
    """Why `api_key` of `secret` cannot be sent as a bearer token, without repeating it; None where it can."""
    key = (secret or {}).get("api_key")
    if key is None or key == "":
        return NO_CREDENTIAL
    return None if isinstance(key, str) and _API_KEY.fullmatch(key) else UNUSABLE_API_KEY


def usable_api_key(secret: ProviderSecret | None) -> str | None:
    """`api_key` of `secret`, where it can be sent."""
    return None if secret is None or api_key_obstacle(secret) is not None else str(secret["api_key"])


class Secret(Generic[T]):
    """The current version of one secret. `load` blocks."""

    def __init__(self, client: SecretsManagerClient, arn: str, parse: Callable[[str], T]) -> None:
        self._client = client
        self._arn = arn
        self._parse = parse

    def load(self, previous: T | None) -> Loaded[T]:
        """Read and parse the secret.

        Raises:
            ValueError: it is unreadable and there is none before to keep.
        """
        text = self._client.get_secret_value(SecretId=self._arn)["SecretString"]
        try:
            return Loaded(self._parse(text))
        except ValueError as error:
            if previous is None:
                raise
            return Loaded(previous, (f"the secret is unreadable: {error}",))


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
