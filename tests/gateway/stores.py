"""The control plane's stores, simulated in this process and filled as the stacks fill them."""

from __future__ import annotations

import json
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from moto import mock_aws

from gateway.control.registry import RegistryItem, item_to_fields
from gateway.control.snapshot import Snapshot
from gateway.control.stored_items import to_stored

if TYPE_CHECKING:
    from types_boto3_dynamodb.client import DynamoDBClient
    from types_boto3_secretsmanager.client import SecretsManagerClient
    from types_boto3_ssm.client import SSMClient

ENVIRONMENTS = Path(__file__).parents[2] / "environments"
REGION = "eu-central-1"
TABLE = "ai_model_registry"
AUDIT_TABLE = "audit-records-of-the-tests"
ROUTE_SET = "/ai-orchestration/test/route-sets/active"
ROUTE_SET_LIBRARY = "/ai-orchestration/test/route-sets/library"
FLAGS = "/ai-orchestration/test/flags"
FLAG_TABLE = "flags-of-the-tests"
CLIENT_KEY = "client-key-of-the-tests"
ADMIN_KEY = "admin-key-of-the-tests"


def declared_models() -> list[RegistryItem]:
    """Every model declared in the repository."""
    files = sorted(ENVIRONMENTS.glob("models/*.toml"))
    return [msgspec.convert(tomllib.loads(file.read_text()), RegistryItem) for file in files]


def declared_route_set() -> dict[str, object]:
    """The route set declared in the repository."""
    return tomllib.loads((ENVIRONMENTS / "route-sets/default.toml").read_text())


@cache
def service_account_key() -> str:
    """A private key as Google issues them; made once, because it takes a while."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    encoding = serialization.Encoding.PEM
    return key.private_bytes(
        encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@cache
def aws_session() -> boto3.Session:
    """One session for all tests: most of the time to make a client goes into reading AWS's service models."""
    return boto3.Session(
        aws_access_key_id="AKIATESTGATEWAY00000", aws_secret_access_key="not-a-secret", region_name=REGION
    )


@cache
def _clients() -> tuple[SSMClient, SecretsManagerClient, DynamoDBClient]:
    """Made once; what they are answered from is each test's own."""
    session = aws_session()
    return session.client("ssm"), session.client("secretsmanager"), session.client("dynamodb")


def create_audit_table(client: DynamoDBClient, name: str) -> None:
    """The table of audit records, as the registry's stack declares it."""
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "subject", "AttributeType": "S"},
            {"AttributeName": "sequence", "AttributeType": "N"},
        ],
        KeySchema=[
            {"AttributeName": "subject", "KeyType": "HASH"},
            {"AttributeName": "sequence", "KeyType": "RANGE"},
        ],
    )


class Stores:
    """What an operator can change, as an operator changes it."""

    def __init__(self) -> None:
        self.ssm, self.secrets, self.dynamodb = _clients()
        self.arns: dict[str, str] = {}

    def create_tables(self) -> None:
        """The tables as the stacks declare them, empty."""
        self.dynamodb.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": "provider#model", "AttributeType": "S"},
                {"AttributeName": "version", "AttributeType": "S"},
            ],
            KeySchema=[
                {"AttributeName": "provider#model", "KeyType": "HASH"},
                {"AttributeName": "version", "KeyType": "RANGE"},
            ],
        )
        create_audit_table(self.dynamodb, AUDIT_TABLE)
        self.dynamodb.create_table(
            TableName=FLAG_TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "flag", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "flag", "KeyType": "HASH"}],
        )

    def fill(self, token_uri: str) -> None:
        """Put in place what the stacks deploy and an operator sets."""
        self.create_tables()
        for item in declared_models():
            self.register(item)
        self.put_route_set(json.dumps(declared_route_set()))
        self.put_flag("rollout-stage", "off")
        self.put_secret("client", {"current": CLIENT_KEY, "previous": ""})
        self.put_secret("admin", {"current": ADMIN_KEY, "previous": ""})
        self.put_secret("llama", {"api_key": "llama-key"})
        self.put_secret(
            "google",
            {
                "type": "service_account",
                "client_email": "gateway@test.iam.gserviceaccount.com",
                "private_key": service_account_key(),
                "private_key_id": "1",
                "token_uri": token_uri,
            },
        )

    def register(self, item: RegistryItem) -> None:
        """Put a version as the deployment does."""
        self.dynamodb.put_item(TableName=TABLE, Item=to_stored(item_to_fields(item)))

    def put_route_set(self, text: str) -> None:
        self.ssm.put_parameter(Name=ROUTE_SET, Value=text, Type="String", Overwrite=True)

    def put_flag(self, name: str, value: str) -> None:
        self.ssm.put_parameter(Name=f"{FLAGS}/{name}", Value=value, Type="String", Overwrite=True)

    def put_flag_item(self, name: str, value: str, changed_at_ms: int | None = None) -> None:
        moment = round(time.time() * 1000) if changed_at_ms is None else changed_at_ms
        item = {"flag": {"S": name}, "value": {"S": value}, "changed_at_ms": {"N": str(moment)}}
        self.dynamodb.put_item(TableName=FLAG_TABLE, Item=item)

    def put_secret(self, name: str, value: object) -> None:
        text = value if isinstance(value, str) else json.dumps(value)
        if name in self.arns:
            self.secrets.put_secret_value(SecretId=self.arns[name], SecretString=text)
        else:
            self.arns[name] = self.secrets.create_secret(Name=name, SecretString=text)["ARN"]


@contextmanager
def simulated_stores(token_uri: str) -> Iterator[Stores]:
    """Filled stores, gone afterwards."""
    with mock_aws():
        stores = Stores()
        stores.fill(token_uri)
        yield stores


def loaded_snapshot(name: str, value: object) -> Snapshot[object]:
    """A snapshot that holds `value`."""
    from gateway.control.snapshot import Loaded

    snapshot: Snapshot[object] = Snapshot(name, lambda _previous: Loaded(value), interval_s=3600)
    snapshot.refresh()
    return snapshot
