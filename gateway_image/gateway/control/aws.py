"""The AWS clients of the control plane and the credentials of Bedrock calls."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import boto3
import msgspec
from botocore.config import Config

from gateway.control.snapshot import Loaded
from gateway.providers.bedrock import BearerToken

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials
    from types_boto3_dynamodb.client import DynamoDBClient
    from types_boto3_secretsmanager.client import SecretsManagerClient
    from types_boto3_ssm.client import SSMClient
    from types_boto3_sts.client import STSClient

BEARER_TOKEN_VARIABLE = "AWS_BEARER_TOKEN_BEDROCK"  # noqa: S105 - the name of AWS's standard variable

BACKGROUND_CONFIG = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 1})
"""No retries: the next refresh is one, and a store that hangs must be noticed within seconds."""

FLAG_CONNECT_S = 1.0
FLAG_READ_S = 1.5
FLAG_CONFIG = Config(
    connect_timeout=FLAG_CONNECT_S, read_timeout=FLAG_READ_S, retries={"total_max_attempts": 1}
)
"""A kill switch must be in force everywhere within five seconds, whatever hangs in between."""


class AwsClients(msgspec.Struct, frozen=True):
    """Thread-safe clients for background threads; none is used while a request waits."""

    dynamodb: DynamoDBClient
    ssm: SSMClient
    flag_table: DynamoDBClient
    flag_parameters: SSMClient
    secrets: SecretsManagerClient
    sts: STSClient


def connect(session: boto3.Session) -> AwsClients:
    """Make the clients; nothing is sent yet."""
    return AwsClients(
        dynamodb=session.client("dynamodb", config=BACKGROUND_CONFIG),
        ssm=session.client("ssm", config=BACKGROUND_CONFIG),
        flag_table=session.client("dynamodb", config=FLAG_CONFIG),
        flag_parameters=session.client("ssm", config=FLAG_CONFIG),
        secrets=session.client("secretsmanager", config=BACKGROUND_CONFIG),
        sts=session.client("sts", config=BACKGROUND_CONFIG),
    )


class BedrockCredentials:
    """The task role's credentials, frozen ahead of use because renewing them blocks."""

    def __init__(self, session: boto3.Session) -> None:
        self._session = session

    def load(
        self,
        previous: ReadOnlyCredentials | BearerToken | None,  # noqa: ARG002 - every `load` takes it
    ) -> Loaded[ReadOnlyCredentials | BearerToken]:
        """The bearer token where one is set, else the session's credentials, renewed when they are due.

        Raises:
            LookupError: there are none.
        """
        token = os.environ.get(BEARER_TOKEN_VARIABLE)
        if token:
            return Loaded(BearerToken(token))
        credentials = self._session.get_credentials()
        if credentials is None:
            raise LookupError(
                "no AWS credentials found; give the task a role or set the standard AWS variables"
            )
        return Loaded(credentials.get_frozen_credentials())
