"""From ENV to the account behind it: settings, credentials, names, and who asks.

What the contracts name is taken from them, what AWS names from the outputs of the stacks, looked up when it
is wanted: a kill switch must not wait for CloudFormation.
"""

from __future__ import annotations

import copy
import getpass
import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from local.aws import CLIENT_CONFIG, known_account
from local.state import StateDirectory
from operations.errors import NO_ANSWER, UNREACHABLE, OperationError
from operations.look_ups import LookUps, NoAnswerInTimeError
from stacks.settings import Environment, load

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from types_boto3_cloudformation.client import CloudFormationClient
    from types_boto3_dynamodb.client import DynamoDBClient
    from types_boto3_secretsmanager.client import SecretsManagerClient
    from types_boto3_ssm.client import SSMClient
    from types_boto3_sts.client import STSClient
    from types_boto3_sts.type_defs import GetCallerIdentityResponseTypeDef

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
    def logs(self) -> BaseClient:
        """A client of CloudWatch Logs."""
        access = self._access
        client: BaseClient = access.session.client(
            "logs", endpoint_url=access.endpoint_url, config=access.config
        )
        return client

    @cached_property
    def cloudformation(self) -> CloudFormationClient:
        """A client of CloudFormation."""
        access = self._access
        return access.session.client("cloudformation", endpoint_url=access.endpoint_url, config=access.config)

    def seen_by(self, who: str) -> Account:
        """The same account with the same clients, seen by another operator."""
        other = copy.copy(self)
        other.who = who
        return other

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


def enter(name: str) -> Account:
    """The account of environment `name`.

    Raises:
        SettingsError: the environment's file has mistakes.
        OperationError: nothing is deployed locally, or the credentials are of another account.
    """
    settings = settings_of(name)
    access = _access(settings, AWS_CONFIG)
    return Account(settings, access, _confirmed(settings, _sts(access).get_caller_identity()))


@dataclass(frozen=True)
class EmergencyEntry:
    """What was asked of an account, side by side: who is calling, and what stacks put out."""

    outputs: Mapping[str, Future[dict[str, str]]]
    _nobody: Account
    _caller: Future[GetCallerIdentityResponseTypeDef]

    def account(self, look_ups: LookUps) -> Account:
        """The account.

        An operator whose identity is not confirmed in time, because STS is down, is let through under the
        name of the machine's user; AWS still judges every call.

        Raises:
            OperationError: the credentials are of another account.
        """
        try:
            who = _confirmed(self._nobody.settings, look_ups.take(self._caller))
        except (NoAnswerInTimeError, *NO_ANSWER):
            who = f"{getpass.getuser()}@{socket.gethostname()} (not confirmed by STS)"
        return self._nobody.seen_by(who)


def enter_in_an_emergency(name: str, stacks: Sequence[str], look_ups: LookUps) -> EmergencyEntry:
    """Ask for everything at the same time; returns at once.

    Raises:
        SettingsError: the environment's file has mistakes.
        OperationError: nothing is deployed locally.
    """
    settings = settings_of(name)
    access = _access(settings, EMERGENCY)
    account = Account(settings, access, "")
    sts, _ = _sts(access), account.cloudformation  # clients are made in one thread
    caller = look_ups.ask(sts.get_caller_identity)
    outputs = {stack: look_ups.ask(partial(account.outputs, stack)) for stack in stacks}
    _ = account.ssm, account.dynamodb  # while the others are on their way
    return EmergencyEntry(outputs, account, caller)


def _confirmed(settings: Environment, caller: GetCallerIdentityResponseTypeDef) -> str:
    """The caller's ARN.

    Raises:
        OperationError: it is of another account.
    """
    expected = settings.deployment.account
    if caller["Account"] != expected:
        raise OperationError(
            f"the AWS credentials are of account {caller['Account']}, "
            f"but ENV={settings.name} is account {expected}",
            remedy="use credentials of that account, or name another environment",
            status=UNREACHABLE,
        )
    return caller["Arn"]


def _sts(access: Access) -> STSClient:
    return access.session.client("sts", endpoint_url=access.endpoint_url, config=access.config)


def _access(settings: Environment, config: Config) -> Access:
    if settings.name == EMBEDDED:
        return _embedded()
    return Access(boto3.Session(region_name=settings.deployment.region), config=config)


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
