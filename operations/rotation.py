"""Secrets: how old each is and when it rotates next, and rotating one now. Never a value."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from operations.environment import Account
from operations.errors import DONE, OperationError
from operations.table_output import moment, table

if TYPE_CHECKING:
    from types_boto3_secretsmanager.type_defs import DescribeSecretResponseTypeDef

SECRETS: Mapping[str, str] = {
    "client-keys": "ClientKeysSecretArn",
    "admin-keys": "AdminKeysSecretArn",
    "google": "GoogleSecretArn",
    "llama": "LlamaSecretArn",
    "llama-administration": "LlamaAdministrationSecretArn",
}
"""What an operator names → the output of the Secrets stack that has its ARN."""

STACK = "secrets"
CURRENT, PENDING = "AWSCURRENT", "AWSPENDING"
PATIENCE_S = 300.0
"""A new key of Google may take 90 s to work, which testSecret and finishSecret each wait for; each of the two
may run for two minutes, and before them stand createSecret and the start of the function in its network."""
POLL_S = 1.0
HEADINGS = ("secret", "age in days", "current since", "labels", "rotates", "last rotated", "next rotation")


@dataclass(frozen=True)
class Clock:
    """Time as the waiting sees it."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def list_secrets(account: Account, now: datetime.datetime) -> int:
    """A line for each secret."""
    arns = {
        name: account.outputs(STACK)[key] for name, key in SECRETS.items() if key in account.outputs(STACK)
    }
    print(table(HEADINGS, [_row(account, name, arn, now) for name, arn in arns.items()]))
    return DONE


def rotate(account: Account, secret: str, clock: Clock = Clock()) -> int:
    """Have one secret rotated now and wait until its new value is in force."""
    arn = account.output(STACK, SECRETS[secret])
    described = account.secrets.describe_secret(SecretId=arn)
    if not described.get("RotationEnabled"):
        raise OperationError(
            f"{secret} of {account.name} has no function that rotates it",
            remedy="give it days in [secrets.rotation] and deploy, or put a key by hand as "
            "docs/runbooks/rotation.md says",
        )
    before = _version(described, CURRENT)
    started = clock.monotonic()
    account.secrets.rotate_secret(SecretId=arn)
    while clock.monotonic() - started < PATIENCE_S:
        described = account.secrets.describe_secret(SecretId=arn)
        if _version(described, CURRENT) != before:
            took_s = clock.monotonic() - started
            print(f"{secret} of {account.name}: new value after {took_s:.1f} s; replicas have it within 60 s")
            return DONE
        clock.sleep(POLL_S)
    function = account.outputs(STACK).get("RotationFunctionName", "secret_rotation")
    raise OperationError(
        f"{secret} of {account.name} has no new value after {PATIENCE_S:.0f} s; the old one goes on to work",
        remedy=f"the log of the function {function} says why; what is stuck is taken off within a day",
    )


def _row(account: Account, name: str, arn: str, now: datetime.datetime) -> tuple[object, ...]:
    described = account.secrets.describe_secret(SecretId=arn)
    since = _current_since(account, arn)
    labels = sorted({label for each in described.get("VersionIdsToStages", {}).values() for label in each})
    last, following = described.get("LastRotatedDate"), described.get("NextRotationDate")
    return (
        name,
        (now - since).days if since else "",
        moment(since) if since else "",
        ",".join(labels),
        "by itself" if described.get("RotationEnabled") else "by hand",
        moment(last) if last else "",
        moment(following) if following else "",
    )


def _current_since(account: Account, arn: str) -> datetime.datetime | None:
    """When the current value was made."""
    pages = account.secrets.list_secret_version_ids(SecretId=arn)
    for version in pages["Versions"]:
        if CURRENT in version.get("VersionStages", []):
            return version.get("CreatedDate")
    return None


def _version(described: DescribeSecretResponseTypeDef, label: str) -> str | None:
    stages = described.get("VersionIdsToStages", {})
    return next((version for version, labels in stages.items() if label in labels), None)
