"""Credentials of a role in another account, taken ahead of use and kept while STS does not answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError

from gateway.control.snapshot import Loaded

if TYPE_CHECKING:
    from types_boto3_sts.client import STSClient

LIFETIME_S = 3600
"""The longest that a role may have that is assumed with another role's credentials.
https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html"""

RENEW_AHEAD_S = 900.0
"""As botocore does for the task's own role: STS may be away for a quarter of an hour."""


_ROLE = "the other account's role that Bedrock is called with"
"""Callers read why a provider is left out, and need not know an account."""


class Held(msgspec.Struct, frozen=True):
    """Credentials and when they end, in seconds since the epoch."""

    credentials: ReadOnlyCredentials
    ends_at_s: float

    def __repr__(self) -> str:
        return f"Held(ends_at_s={self.ends_at_s:.0f})"


class AssumedRole:
    """One role that the task's own role may assume. `load` blocks.

    `session_name` is what the other account's trail calls the gateway.
    """

    def __init__(
        self,
        client: STSClient,
        arn: str,
        external_id: str | None,
        session_name: str,
        *,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._arguments: dict[str, str] = {"RoleArn": arn, "RoleSessionName": session_name}
        if external_id is not None:
            self._arguments["ExternalId"] = external_id
        self._now_s = now_s
        self._refused: object = None
        self._problem: str | None = None

    def refuse(self, credentials: object) -> None:
        """Renew these credentials at the next `load`, however long they were to live: they were refused."""
        self._refused = credentials

    def load(self, previous: Held | None) -> Loaded[Held]:
        """`previous`, or new ones where it ends soon.

        Raises:
            LookupError: the role cannot be assumed; `previous` is good until its end.
        """
        if previous is not None and not self._is_due(previous):
            return Loaded(previous)
        try:
            answer = self._client.assume_role(DurationSeconds=LIFETIME_S, **self._arguments)["Credentials"]  # type: ignore[arg-type]
        except (BotoCoreError, ClientError) as error:
            self._problem = f"{_ROLE} cannot be assumed: {_told(error)}"
            raise LookupError(self._problem) from None
        self._problem = None
        credentials = ReadOnlyCredentials(
            answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"]
        )
        return Loaded(Held(credentials, answer["Expiration"].timestamp()))

    def in_force(self, held: Held | None) -> ReadOnlyCredentials | None:
        """The credentials of `held` until they end."""
        return None if held is None or held.ends_at_s <= self._now_s() else held.credentials

    def obstacle(self, held: Held | None) -> str | None:
        """Why Bedrock cannot be called, or None where it can."""
        if self.in_force(held) is not None:
            return None
        return self._problem or f"{_ROLE} has not been assumed yet"

    def _is_due(self, held: Held) -> bool:
        return held.credentials == self._refused or held.ends_at_s - self._now_s() <= RENEW_AHEAD_S


def _told(error: Exception) -> str:
    """AWS's code alone: its message repeats who asked for what."""
    code = error.response.get("Error", {}).get("Code") if isinstance(error, ClientError) else None
    return code or type(error).__name__
