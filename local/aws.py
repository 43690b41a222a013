"""Access to the emulated account: administrator credentials, environments and clients.

Nothing here or started from here reads the user's own AWS configuration, or asks a proxy for what is here.
"""

from __future__ import annotations

import os
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass

import boto3
import botocore.session
from botocore.config import Config

from local.ports import LOOPBACK
from local.state import StateDirectory, read_json, write_private

_KEY_CHARACTERS = string.ascii_uppercase + string.digits
_KEY_RANDOM_CHARACTERS = 16

ISOLATED = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""Keeps SDKs away from the user's profiles and from instance metadata."""


@dataclass(frozen=True)
class Account:
    """The emulated account and how its administrator reaches it."""

    id: str
    region: str
    endpoint_url: str
    access_key_id: str
    secret_access_key: str

    def environment(self) -> dict[str, str]:
        """Variables by which any SDK or the CDK acts as the administrator, here and nowhere else."""
        return ISOLATED | {
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ENDPOINT_URL": self.endpoint_url,
        }

    def session(self) -> boto3.Session:
        """A session as administrator. Clients of it need `endpoint_url` and `config` below."""
        return boto3.Session(
            botocore_session=botocore.session.Session(session_vars=_ISOLATED_SESSION),
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
            region_name=self.region,
        )


CLIENT_CONFIG = Config(connect_timeout=2, read_timeout=20, retries={"total_max_attempts": 2}, proxies={})
"""Loopback either answers at once or is not there, and no proxy knows it."""

_ISOLATED_SESSION = {
    name: (key, None, default, conversion)
    for name, (key, _variable, default, conversion) in botocore.session.Session.SESSION_VARIABLES.items()
} | {
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}
"""What a session knows of itself, none of it from a variable of the environment or a file of the user's."""

_PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy"})


def new_account(state: StateDirectory, account_id: str, region: str, port: int) -> Account:
    """Credentials for a fresh emulator.

    The key id differs each time, because the CDK command line remembers accounts by key id.
    """
    random = "".join(secrets.choice(_KEY_CHARACTERS) for _ in range(_KEY_RANDOM_CHARACTERS))
    write_private(
        state.administrator_file,
        {
            "account": account_id,
            "region": region,
            "endpoint_url": f"http://{LOOPBACK}:{port}",
            "access_key_id": f"AKIA{random}",
            "secret_access_key": secrets.token_urlsafe(30),
        },
    )
    account = known_account(state)
    assert account is not None  # noqa: S101  (written just above)
    return account


def known_account(state: StateDirectory) -> Account | None:
    """The account of the emulator that was started last, if any was."""
    known = read_json(state.administrator_file)
    try:
        return Account(
            known["account"],
            known["region"],
            known["endpoint_url"],
            known["access_key_id"],
            known["secret_access_key"],
        )
    except KeyError:
        return None


def isolated(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without the user's own AWS variables and proxies."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith("AWS_") and name.lower() not in _PROXIES
    }
