"""The stores of the flag functions, as their stacks declare them, in an account that moto simulates."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from unittest import mock

import boto3
from moto import mock_aws

if TYPE_CHECKING:
    from types_boto3_dynamodb.client import DynamoDBClient
    from types_boto3_ssm.client import SSMClient

PATH = "/ai-orchestration/test/flags"
FLAG_TABLE, AUDIT_TABLE = "flags", "audit"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "eu-central-1",
}
VARIABLES = {
    "ENVIRONMENT": "test",
    "FLAG_PARAMETERS": PATH,
    "FLAG_TABLE": FLAG_TABLE,
    "AUDIT_TABLE": AUDIT_TABLE,
}


@dataclass(frozen=True)
class FlagStores:
    """What operators and functions see of the tiers."""

    ssm: SSMClient
    dynamodb: DynamoDBClient

    def put(self, flag: str, value: str) -> int:
        """As an operator does; the version."""
        answer = self.ssm.put_parameter(Name=f"{PATH}/{flag}", Value=value, Type="String", Overwrite=True)
        return answer["Version"]

    def parameter(self, flag: str) -> str:
        return self.ssm.get_parameter(Name=f"{PATH}/{flag}")["Parameter"]["Value"]

    def versions(self, flag: str) -> list[str]:
        """Every value that the parameter had, oldest first."""
        pages = self.ssm.get_paginator("get_parameter_history").paginate(Name=f"{PATH}/{flag}")
        return [entry["Value"] for page in pages for entry in page["Parameters"]]

    def put_row(self, flag: str, value: str, changed_at_ms: int, changed_by: str = "anna") -> None:
        self.dynamodb.put_item(
            TableName=FLAG_TABLE,
            Item={
                "flag": {"S": flag},
                "value": {"S": value},
                "changed_at_ms": {"N": str(changed_at_ms)},
                "changed_by": {"S": changed_by},
                "why": {"S": "because"},
            },
        )

    def put_rows(self, values: Mapping[str, str], changed_at_ms: int) -> None:
        requests = [
            {
                "PutRequest": {
                    "Item": {
                        "flag": {"S": flag},
                        "value": {"S": value},
                        "changed_at_ms": {"N": str(changed_at_ms)},
                        "changed_by": {"S": "anna"},
                        "why": {"S": "because"},
                    }
                }
            }
            for flag, value in values.items()
        ]
        self.dynamodb.batch_write_item(RequestItems={FLAG_TABLE: requests})  # type: ignore[dict-item]

    def put_evidence(self, shadow_since_ms: int, decisions: int) -> None:
        self.dynamodb.put_item(
            TableName=FLAG_TABLE,
            Item={
                "flag": {"S": f"evidence#rollout-stage#{shadow_since_ms}"},
                "decisions": {"N": str(decisions)},
                "expires_at": {"N": "4102444800"},
            },
        )

    def rows(self) -> dict[str, dict[str, Any]]:
        """Flag name → its row."""
        items = self.dynamodb.scan(TableName=FLAG_TABLE)["Items"]
        return {
            item["flag"]["S"]: {name: next(iter(value.values())) for name, value in item.items()}
            for item in items
        }

    def row(self, flag: str) -> str | None:
        """The value of the second tier."""
        found: dict[str, Any] = self.rows().get(flag, {})
        return found.get("value")

    def state(self) -> object:
        """Everything in every store."""
        parameters = self.ssm.get_paginator("get_parameters_by_path").paginate(Path=PATH, Recursive=True)
        return (
            [
                (one["Name"], one["Version"], one["Value"])
                for page in parameters
                for one in page["Parameters"]
            ],
            self.rows(),
            self.dynamodb.scan(TableName=AUDIT_TABLE)["Items"],
        )

    def audit(self, flag: str) -> list[dict[str, Any]]:
        """The records of a flag, oldest first."""
        items = self.dynamodb.query(
            TableName=AUDIT_TABLE,
            KeyConditionExpression="subject = :subject",
            ExpressionAttributeValues={":subject": {"S": f"flag#{flag}"}},
        )["Items"]
        return [{name: next(iter(value.values())) for name, value in item.items()} for item in items]

    def actions(self, flag: str) -> list[tuple[str, str, str]]:
        """What the records of a flag say was done, from what, to what."""
        return [(one["action"], one["from"], one["to"]) for one in self.audit(flag)]


@cache
def _stores() -> FlagStores:
    """The clients, which take longer to make than to use."""
    return FlagStores(boto3.client("ssm"), boto3.client("dynamodb"))


@contextmanager
def flag_stores() -> Iterator[FlagStores]:
    """Empty tables and no parameter."""
    with mock.patch.dict("os.environ", {**CREDENTIALS, **VARIABLES}), mock_aws():
        stores = _stores()
        create_audit_table(stores.dynamodb)
        stores.dynamodb.create_table(
            TableName=FLAG_TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "flag", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "flag", "KeyType": "HASH"}],
        )
        yield stores


def create_audit_table(client: DynamoDBClient) -> None:
    client.create_table(
        TableName=AUDIT_TABLE,
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


def lines(printed: str) -> list[dict[str, Any]]:
    """The log lines of a function."""
    return [json.loads(line) for line in printed.splitlines()]
