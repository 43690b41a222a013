"""What every exercise calls AWS with, and how it finds what is deployed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import boto3

from local.aws import CLIENT_CONFIG, Account
from local.outputs import deployed_stacks
from local.task_credentials import assume_role
from tests.local.embedded_cloud import RunningCloud


def admin(cloud: RunningCloud, service: str) -> Any:  # noqa: ANN401 - a client of boto3
    """A client of the account's administrator, made once."""
    return _client(cloud.account, service)


@cache
def _client(account: Account, service: str) -> Any:  # noqa: ANN401 - a client of boto3
    return account.session().client(  # type: ignore[call-overload]
        service, endpoint_url=account.endpoint_url, config=CLIENT_CONFIG
    )


def outputs(cloud: RunningCloud, stack: str) -> Mapping[str, str]:
    """The outputs of a deployed stack."""
    return deployed_stacks(cloud.account)[stack].outputs


def as_role(account: Account, role_arn: str, service: str) -> Any:  # noqa: ANN401 - a client of boto3
    """A client with a role's permissions."""
    held = assume_role(account, role_arn)
    session: Any = boto3.Session(
        held.access_key_id, held.secret_access_key, held.session_token, account.region
    )
    return session.client(service, endpoint_url=account.endpoint_url, config=CLIENT_CONFIG)


def log_events(cloud: RunningCloud, group: str) -> int:
    """How many events a log group holds."""
    logs = admin(cloud, "logs")
    streams = logs.describe_log_streams(logGroupName=group)["logStreams"]
    return sum(
        len(logs.get_log_events(logGroupName=group, logStreamName=one["logStreamName"])["events"])
        for one in streams
    )
