"""The part of boto3's Secrets Manager client that is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, cast

import boto3
from botocore.config import Config

CURRENT = "AWSCURRENT"
PENDING = "AWSPENDING"
PREVIOUS = "AWSPREVIOUS"


class Vault(Protocol):
    """Secrets Manager; the arguments and answers are its own. Every call raises `ClientError`."""

    def describe_secret(self, *, SecretId: str) -> Mapping[str, object]:  # noqa: N803
        """Labels by version, tags, and whether rotation is on."""
        ...

    def get_secret_value(self, *, SecretId: str, VersionId: str = ...) -> Mapping[str, object]:  # noqa: N803
        """`SecretString` and `CreatedDate` of a version; without a version id, of the current one."""
        ...

    def put_secret_value(
        self,
        *,
        SecretId: str,  # noqa: N803
        ClientRequestToken: str,  # noqa: N803
        SecretString: str,  # noqa: N803
        VersionStages: Sequence[str],  # noqa: N803
    ) -> object:
        """Gives a version its value, once."""
        ...

    def update_secret_version_stage(
        self,
        *,
        SecretId: str,  # noqa: N803
        VersionStage: str,  # noqa: N803
        RemoveFromVersionId: str,  # noqa: N803
        MoveToVersionId: str = ...,  # noqa: N803
    ) -> object:
        """Moves a label, or takes it off; raises where the version to remove from does not have it."""
        ...

    def tag_resource(self, *, SecretId: str, Tags: Sequence[Mapping[str, str]]) -> object:  # noqa: N803
        """Sets tags; those of the same keys are replaced."""
        ...


def open_vault() -> Vault:
    """A client that gives up before the function does."""
    config = Config(connect_timeout=5, read_timeout=5, retries={"total_max_attempts": 3, "mode": "standard"})
    return cast("Vault", boto3.client("secretsmanager", config=config))
