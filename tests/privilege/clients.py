"""What every exercise calls AWS with, and how it finds what is deployed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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


def log_messages(cloud: RunningCloud, group: str) -> Iterator[str]:
    """What a log group holds."""
    pages = admin(cloud, "logs").get_paginator("filter_log_events").paginate(logGroupName=group)
    return (event["message"] for page in pages for event in page["events"])


def log_events(cloud: RunningCloud, group: str) -> int:
    """How many events a log group holds."""
    return sum(1 for _ in log_messages(cloud, group))
