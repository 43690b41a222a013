"""An account with what the stacks of staging put there, in moto; and the embedded cloud."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import boto3
import msgspec
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from gateway.control.flag_declarations import DECLARATIONS
from gateway.control.registry import RegistryItem, item_to_fields
from gateway.control.stored_items import to_stored
from operations import declared, environment, registry
from operations.__main__ import main
from stacks.settings import Environment, load
from tests.local.embedded_cloud import embedded_cloud

if TYPE_CHECKING:
    from types_boto3_dynamodb.client import DynamoDBClient
    from types_boto3_ssm.client import SSMClient

__all__ = ["embedded_cloud"]

ACCOUNT, REGION, NAME = "123456789012", "eu-central-1", "staging"
REGISTRY, AUDIT, FLAGS = "ai_model_registry", "audit-records", "flag-table"
PATH = f"/ai-orchestration/{NAME}"


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


@dataclass(frozen=True)
class Staging:
    """The emulated account of staging, and its operator's command line."""

    dynamodb: DynamoDBClient
    ssm: SSMClient
    settings: Environment
    capture: pytest.CaptureFixture[str]

    def run(self, *words: str) -> Outcome:
        self.capture.readouterr()
        try:
            status = main(words)
        except SystemExit as ended:
            status = int(str(ended.code))
        told = self.capture.readouterr()
        return Outcome(status, told.out, told.err)

    def put_item(self, item: RegistryItem) -> None:
        self.dynamodb.put_item(TableName=REGISTRY, Item=to_stored(item_to_fields(item)))

    def put_declared(self) -> None:
        for item in declared.declared_models(environment.ENVIRONMENTS).items.values():
            self.put_item(item)

    def flag(self, name: str) -> str:
        return self.ssm.get_parameter(Name=f"{PATH}/flags/{name}")["Parameter"]["Value"]

    def put_flag(self, name: str, value: str) -> None:
        self.ssm.put_parameter(Name=f"{PATH}/flags/{name}", Value=value, Type="String", Overwrite=True)

    def put_in_force(self, text: str) -> None:
        name = f"{PATH}/route-sets/active"
        self.ssm.put_parameter(Name=name, Value=text, Type="String", Overwrite=True)

    def in_force(self) -> dict[str, object]:
        found = self.ssm.get_parameter(Name=f"{PATH}/route-sets/active")["Parameter"]["Value"]
        return dict(json.loads(found))


class Stacks:
    """CloudFormation, as far as it is asked: what moto has of it wants packages that nothing else needs."""

    OUTPUTS: ClassVar = {
        "model-registry": {"RegistryTableName": REGISTRY, "AuditTableName": AUDIT},
        "feature-flags": {"FlagTableName": FLAGS},
    }

    def describe_stacks(self, *, StackName: str) -> dict[str, object]:  # noqa: N803
        outputs = self.OUTPUTS.get(StackName.removeprefix(f"ai-orchestration-{NAME}-"))
        if outputs is None:
            told = f"Stack with id {StackName} does not exist"
            raise ClientError({"Error": {"Code": "ValidationError", "Message": told}}, "DescribeStacks")
        listed = [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()]
        return {"Stacks": [{"Outputs": listed}]}


def _table(client: DynamoDBClient, name: str, *keys: tuple[str, str]) -> None:
    client.create_table(
        TableName=name,
        KeySchema=[
            {"AttributeName": key, "KeyType": "RANGE" if position else "HASH"}
            for position, (key, _) in enumerate(keys)
        ],
        AttributeDefinitions=[
            {"AttributeName": key, "AttributeType": "N" if kind == "N" else "S"} for key, kind in keys
        ],
        BillingMode="PAY_PER_REQUEST",
    )


_Session: Any = boto3.Session


class RememberingSession(boto3.Session):
    """Makes each client once: what takes time is making them."""

    def client(self, service_name: str, *_: object, **__: object) -> Any:  # noqa: ANN401
        return _client(service_name)


@cache
def _client(service: str) -> Any:  # noqa: ANN401 - of any service
    return Stacks() if service == "cloudformation" else _Session(region_name=REGION).client(service)


@pytest.fixture(scope="session")
def settings_of_staging() -> Environment:
    settings = load(environment.ENVIRONMENTS / f"{NAME}.toml")
    place = settings.deployment.model_copy(update={"account": ACCOUNT, "region": REGION})
    return settings.model_copy(update={"deployment": place})


@pytest.fixture(scope="session")
def deployed() -> Iterator[None]:
    """The stacks, once a run."""
    with pytest.MonkeyPatch.context() as patched:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
        }.items():
            patched.setenv(name, value)
        for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
            patched.delenv(name, raising=False)
        with mock_aws():
            yield
            _client.cache_clear()


@pytest.fixture
def staging(
    deployed: None,  # noqa: ARG001 - it is there
    settings_of_staging: Environment,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Staging]:
    """Everything deployed, nothing touched since."""

    def settings_of(name: str) -> Environment:
        return settings_of_staging if name == NAME else load(environment.ENVIRONMENTS / f"{name}.toml")

    monkeypatch.setattr(environment, "settings_of", settings_of)
    monkeypatch.setattr(registry, "settings_of", settings_of)
    monkeypatch.setattr(boto3, "Session", RememberingSession)
    dynamodb, ssm = _client("dynamodb"), _client("ssm")
    _table(dynamodb, REGISTRY, ("provider#model", "S"), ("version", "S"))
    _table(dynamodb, AUDIT, ("subject", "S"), ("sequence", "N"))
    _table(dynamodb, FLAGS, ("flag", "S"))
    staged = Staging(dynamodb, ssm, settings_of_staging, capsys)
    staged.put_declared()
    route_set = declared.declared_route_set(environment.ENVIRONMENTS, settings_of_staging)
    staged.put_in_force(msgspec.json.encode(route_set).decode())
    for declaration in DECLARATIONS:
        staged.put_flag(declaration.name, declaration.default)
    yield staged
    for name in dynamodb.list_tables()["TableNames"]:
        dynamodb.delete_table(TableName=name)
    for page in ssm.get_paginator("describe_parameters").paginate():
        for parameter in page["Parameters"]:
            ssm.delete_parameter(Name=parameter["Name"])
