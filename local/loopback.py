"""HTTP to this machine, whatever proxy the shell or the system has for everything else."""

from __future__ import annotations

import urllib.error
import urllib.request
from http.client import HTTPResponse
from typing import cast

_OK = 200
_WITHOUT_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def request(wanted: str | urllib.request.Request, timeout_s: float) -> HTTPResponse:
    """Like `urllib.request.urlopen`, and raises what it raises."""
    return cast("HTTPResponse", _WITHOUT_PROXY.open(wanted, timeout=timeout_s))


def answers(url: str, timeout_s: float = 2.0) -> bool:
    """Whether a GET of a loopback URL succeeds."""
    try:
        with request(url, timeout_s) as response:
            return int(response.status) == _OK
    except (urllib.error.URLError, OSError, ValueError):
        return False
