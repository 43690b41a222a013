"""Clients of AWS whose every call ends soon: a store that hangs must not take the other stores' time."""

from __future__ import annotations

from functools import cache

import boto3
from botocore.config import Config

CONNECT_TIMEOUT_S = 1
READ_TIMEOUT_S = 3
ATTEMPTS = 2


@cache
def open_client(service: str, *, read_timeout_s: float = READ_TIMEOUT_S, attempts: int = ATTEMPTS) -> object:
    """The client of `service`; no call takes longer than `attempts` times both timeouts."""
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=read_timeout_s,
        retries={"mode": "standard", "total_max_attempts": attempts},
    )
    return boto3.client(service, config=config)  # type: ignore[call-overload]
