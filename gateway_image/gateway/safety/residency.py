"""The egress guard: the last check before a connection, whatever was decided before it."""

from __future__ import annotations

from urllib.parse import urlsplit


class EgressRefusedError(Exception):
    """A host the gateway must not dial."""


class EgressGuard:
    """Lets calls out to declared hosts only, and fails closed: an address it cannot read is refused."""

    def __init__(self, hosts: frozenset[str]) -> None:
        self._hosts = frozenset(host.lower() for host in hosts)

    def check(self, url: str) -> None:
        """Pass `url` or refuse it.

        Raises:
            EgressRefusedError: its host is not declared, or it is no http(s) address.
        """
        try:
            parts = urlsplit(url)
            scheme, host, port = parts.scheme, parts.hostname, parts.port
        except ValueError:
            scheme, host, port = "", None, None
        if scheme not in ("http", "https") or host is None:
            raise EgressRefusedError("the address to call is not an http(s) address")
        if host not in self._hosts and f"{host}:{port}" not in self._hosts:
            raise EgressRefusedError(
                f"host {host} is not among the declared ones; add it to PROVIDER_HOSTS if it should be"
            )


def host_of(url: str) -> str:
    """The host of a base URL that `settings` accepted, lower case."""
    return urlsplit(url).hostname or ""
