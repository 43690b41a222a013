"""Clients of AWS whose every call ends soon: a store that hangs must not take the other stores' time."""

from __future__ import annotations

from functools import cache

import boto3
from botocore.config import Config

CONNECT_TIMEOUT_S = 1
READ_TIMEOUT_S = 3
ATTEMPTS = 2

_CONFIG = Config(
    connect_timeout=CONNECT_TIMEOUT_S,
    read_timeout=READ_TIMEOUT_S,
    retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
)


@cache
def open_client(service: str) -> object:
    """The client of `service`; no call takes longer than `ATTEMPTS` times both timeouts."""
    return boto3.client(service, config=_CONFIG)  # type: ignore[call-overload]
