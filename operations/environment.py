"""From ENV to the account behind it: settings, credentials, names, and who asks.

What the contracts name is taken from them, what AWS names from the outputs of the stacks, looked up when it
is wanted: a kill switch must not wait for CloudFormation.
"""

from __future__ import annotations

import getpass
import socket
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from local.aws import CLIENT_CONFIG, known_account
from local.state import StateDirectory
from operations.errors import NO_ANSWER, UNREACHABLE, OperationError
from stacks.settings import Environment, load

if TYPE_CHECKING:
    from types_boto3_cloudformation.client import CloudFormationClient
    from types_boto3_dynamodb.client import DynamoDBClient
    from types_boto3_secretsmanager.client import SecretsManagerClient
    from types_boto3_ssm.client import SSMClient

ENVIRONMENTS = Path(__file__).parent.parent / "environments"
EMBEDDED = "local"
AWS_CONFIG = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3})
EMERGENCY = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 1})
"""A call that takes longer is not waited for where something must stop now: another store will do."""


@dataclass(frozen=True)
class Access:
    """How AWS is reached: a session, and an endpoint where it is not AWS's own."""

    session: boto3.Session
    endpoint_url: str | None = None
    config: Config = AWS_CONFIG


class Account:
    """The account of one environment, seen by the operator `who`."""

    def __init__(self, settings: Environment, access: Access, who: str) -> None:
        self.settings = settings
        self.who = who
        self._access = access
        self._outputs = cache(self._read_outputs)

    @property
    def name(self) -> str:
        """The environment's name."""
        return self.settings.name

    @cached_property
    def dynamodb(self) -> DynamoDBClient:
        """A client of DynamoDB."""
        access = self._access
        return access.session.client("dynamodb", endpoint_url=access.endpoint_url, config=access.config)

    @cached_property
    def ssm(self) -> SSMClient:
        """A client of Parameter Store."""
        access = self._access
        return access.session.client("ssm", endpoint_url=access.endpoint_url, config=access.config)

    @cached_property
    def secrets(self) -> SecretsManagerClient:
        """A client of Secrets Manager."""
        access = self._access
        return access.session.client("secretsmanager", endpoint_url=access.endpoint_url, config=access.config)

    @cached_property
    def cloudformation(self) -> CloudFormationClient:
        """A client of CloudFormation."""
        access = self._access
        return access.session.client("cloudformation", endpoint_url=access.endpoint_url, config=access.config)

    @property
    def flag_path(self) -> str:
        """Below it lie the flags."""
        return f"/ai-orchestration/{self.name}/flags"

    @property
    def route_set_parameter(self) -> str:
        """Holds the route set in force."""
        return f"/ai-orchestration/{self.name}/route-sets/active"

    @property
    def route_set_library(self) -> str:
        """Below it lie the proposed route sets."""
        return f"/ai-orchestration/{self.name}/route-sets/library"

    def outputs(self, stack: str) -> dict[str, str]:
        """What a stack (`model-registry`, …) puts out.

        Raises:
            OperationError: the stack is not deployed.
        """
        return self._outputs(stack)

    def output(self, stack: str, key: str) -> str:
        """One output that the contracts promise.

        Raises:
            OperationError: it is not there.
        """
        value = self.outputs(stack).get(key)
        if value is None:
            raise OperationError(
                f"the stack {self.settings.stack_prefix}-{stack} has no output {key}",
                remedy=f"deploy this version of the project: {self._deploy()}",
                status=UNREACHABLE,
            )
        return value

    def _read_outputs(self, stack: str) -> dict[str, str]:
        name = f"{self.settings.stack_prefix}-{stack}"
        try:
            (found,) = self.cloudformation.describe_stacks(StackName=name)["Stacks"]
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "ValidationError":
                raise
            raise OperationError(
                f"the stack {name} is not deployed", remedy=self._deploy(), status=UNREACHABLE
            ) from None
        return {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}

    def _deploy(self) -> str:
        return "make up" if self.name == EMBEDDED else f"make deploy ENV={self.name}"


def settings_of(name: str) -> Environment:
    """The settings of an environment.

    Raises:
        SettingsError: there is no such environment, or its file has mistakes.
    """
    return load(ENVIRONMENTS / f"{name}.toml")


def enter(name: str, *, in_an_emergency: bool = False) -> Account:
    """The account of environment `name`.

    In an emergency an operator whose identity cannot be confirmed, because STS is down, is let through under
    the name of the machine's user; AWS still judges every call.

    Raises:
        SettingsError: the environment's file has mistakes.
        OperationError: nothing is deployed locally, or the credentials are of another account.
    """
    settings = settings_of(name)
    access = _embedded() if name == EMBEDDED else _deployed(settings, in_an_emergency)
    sts = access.session.client("sts", endpoint_url=access.endpoint_url, config=access.config)
    try:
        caller = sts.get_caller_identity()
    except NO_ANSWER:
        if not in_an_emergency:
            raise
        return Account(settings, access, f"{getpass.getuser()}@{socket.gethostname()} (not confirmed by STS)")
    expected = settings.deployment.account
    if caller["Account"] != expected:
        raise OperationError(
            f"the AWS credentials are of account {caller['Account']}, but ENV={name} is account {expected}",
            remedy="use credentials of that account, or name another environment",
            status=UNREACHABLE,
        )
    return Account(settings, access, caller["Arn"])


def _deployed(settings: Environment, in_an_emergency: bool) -> Access:
    session = boto3.Session(region_name=settings.deployment.region)
    return Access(session, config=EMERGENCY if in_an_emergency else AWS_CONFIG)


def _embedded() -> Access:
    state = StateDirectory.from_environment()
    account = known_account(state)
    if account is None:
        raise OperationError(
            f"no embedded cloud was ever started in {state.root}",
            remedy="start it with make up, or name another environment with ENV=",
            status=UNREACHABLE,
        )
    return Access(account.session(), account.endpoint_url, CLIENT_CONFIG)
