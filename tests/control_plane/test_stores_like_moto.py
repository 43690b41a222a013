"""The stores in memory answer as moto does to all that the control plane asks of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from tests.control_plane.cloud import AUDIT_TABLE, FLAG_TABLE, KEYS, REGISTRY_TABLE
from tests.control_plane.memory_dynamodb import MemoryDynamoDb
from tests.control_plane.memory_parameters import MemoryParameters
from tests.gateway.stores import aws_session

NEWER = (
    "attribute_not_exists(changed_at_ms) OR NOT attribute_type(changed_at_ms, :number)"
    " OR changed_at_ms < :changed_at_ms OR changed_at_ms > :future"
    " OR attribute_not_exists(#value) OR #value = :unreadable"
)
NUMBER_KEYS = {"sequence"}

Ask = Callable[[Any], object]


def row(moment: object, value: str = "on") -> dict[str, Any]:
    attribute = {"N": str(moment)} if isinstance(moment, int) else {"S": str(moment)}
    return {"flag": {"S": "f"}, "value": {"S": value}, "changed_at_ms": attribute}


def put_newer(moment: int, unreadable: str = "") -> Ask:
    return lambda client: client.put_item(
        TableName=FLAG_TABLE,
        Item=row(moment),
        ConditionExpression=NEWER,
        ExpressionAttributeNames={"#value": "value"},
        ExpressionAttributeValues={
            ":changed_at_ms": {"N": str(moment)},
            ":future": {"N": "1000"},
            ":number": {"S": "N"},
            ":unreadable": {"S": unreadable},
        },
    )


def put(item: dict[str, Any], condition: str | None = None, **more: object) -> Ask:
    conditions = {} if condition is None else {"ConditionExpression": condition}
    return lambda client: client.put_item(TableName=FLAG_TABLE, Item=item, **conditions, **more)


def record(sequence: int, text: str = "x") -> dict[str, Any]:
    return {"subject": {"S": "s"}, "sequence": {"N": str(sequence)}, "to": {"S": text}}


def put_record(sequence: int, text: str = "x") -> dict[str, Any]:
    return {
        "Put": {
            "TableName": AUDIT_TABLE,
            "Item": record(sequence, text),
            "ConditionExpression": "attribute_not_exists(subject)",
        }
    }


def move(before: str, after: str) -> dict[str, Any]:
    return {
        "Update": {
            "TableName": REGISTRY_TABLE,
            "Key": {"provider#model": {"S": "google#m"}, "version": {"S": "1"}},
            "UpdateExpression": "SET lifecycle = :after",
            "ConditionExpression": "lifecycle = :before",
            "ExpressionAttributeValues": {":before": {"S": before}, ":after": {"S": after}},
        }
    }


def register(lifecycle: str) -> dict[str, Any]:
    key = {"provider#model": {"S": "google#m"}, "version": {"S": "1"}}
    return {
        "Put": {
            "TableName": REGISTRY_TABLE,
            "Item": {**key, "lifecycle": {"S": lifecycle}},
            "ConditionExpression": "attribute_not_exists(#version)",
            "ExpressionAttributeNames": {"#version": "version"},
        }
    }


def transaction(*items: dict[str, Any], token: str = "") -> Ask:
    tokens = {"ClientRequestToken": token} if token else {}
    return lambda client: client.transact_write_items(TransactItems=list(items), **tokens)


def count(decisions: int) -> Ask:
    return lambda client: client.update_item(
        TableName=FLAG_TABLE,
        Key={"flag": {"S": "evidence#f#1"}},
        UpdateExpression="ADD decisions :counted SET expires_at = :expires_at",
        ExpressionAttributeValues={":counted": {"N": str(decisions)}, ":expires_at": {"N": "9"}},
    )


def newest(client: Any) -> object:  # noqa: ANN401
    return client.query(
        TableName=AUDIT_TABLE,
        KeyConditionExpression="subject = :subject",
        ExpressionAttributeValues={":subject": {"S": "s"}},
        ConsistentRead=True,
        ScanIndexForward=False,
        Limit=1,
    )


def evidence(client: Any) -> object:  # noqa: ANN401
    return client.scan(
        TableName=FLAG_TABLE,
        ConsistentRead=True,
        FilterExpression="begins_with(flag, :prefix)",
        ExpressionAttributeValues={":prefix": {"S": "evidence#f#"}},
    )


TABLE_CALLS: tuple[Ask, ...] = (
    put_newer(5),
    put_newer(5),
    put_newer(4),
    put_newer(6),
    put_newer(4, unreadable="on"),
    put(row("no number")),
    put_newer(1),
    put(row(2000)),
    put_newer(3),
    put({"flag": {"S": "f"}, "changed_at_ms": {"N": "900"}}),
    put_newer(2),
    put(
        row(2),
        "attribute_not_exists(flag) OR changed_at_ms < :m",
        ExpressionAttributeValues={":m": {"N": "2"}},
    ),
    count(3),
    count(4),
    evidence,
    lambda client: client.scan(TableName=FLAG_TABLE, ConsistentRead=True),
    newest,
    *(transaction(put_record(sequence)) for sequence in (1, 2, 9, 10, 10)),
    newest,
    transaction(register("draft"), put_record(10)),
    transaction(register("draft"), put_record(11)),
    transaction(register("draft"), put_record(12)),
    transaction(register("draft"), put_record(11)),
    transaction(move("canary", "active"), put_record(12)),
    transaction(move("draft", "canary"), put_record(12)),
    lambda client: client.get_item(
        TableName=REGISTRY_TABLE,
        Key={"provider#model": {"S": "google#m"}, "version": {"S": "1"}},
        ConsistentRead=True,
    ),
    lambda client: client.get_item(
        TableName=REGISTRY_TABLE, Key={"provider#model": {"S": "google#m"}, "version": {"S": "2"}}
    ),
    newest,
)

PATH = "/ai/flags"


def write(name: str, text: str, *, overwrite: bool) -> Ask:
    return lambda client: client.put_parameter(Name=name, Value=text, Type="String", Overwrite=overwrite)


PARAMETER_CALLS: tuple[Ask, ...] = (
    lambda client: client.get_parameter(Name=f"{PATH}/a"),
    lambda client: client.get_parameter_history(Name=f"{PATH}/a"),
    write(f"{PATH}/a", "1", overwrite=True),
    write(f"{PATH}/a", "2", overwrite=False),
    write(f"{PATH}/a", "2", overwrite=True),
    write(f"{PATH}/b/c", "3", overwrite=False),
    write("/ai/flags-of-others/d", "4", overwrite=False),
    lambda client: client.get_parameter(Name=f"{PATH}/a"),
    lambda client: client.get_parameters_by_path(Path=PATH),
    lambda client: client.get_parameters_by_path(Path=PATH, Recursive=True),
    lambda client: client.get_parameter_history(Name=f"{PATH}/a"),
    lambda client: client.delete_parameter(Name=f"{PATH}/a"),
    lambda client: client.delete_parameter(Name=f"{PATH}/a"),
    write(f"{PATH}/a", "5", overwrite=False),
    lambda client: client.get_parameter_history(Name=f"{PATH}/a"),
)


def answer(ask: Ask, client: object) -> object:
    """What counts of an answer: items, values and versions, or why it was refused."""
    try:
        return _told(ask(client))
    except ClientError as error:
        reasons: Any = error.response.get("CancellationReasons", ())
        return (
            error.response["Error"]["Code"],
            type(error).__name__,
            [each.get("Code") for each in reasons],
        )


def _told(answered: Any) -> object:  # noqa: ANN401
    if "Items" in answered:
        return sorted(map(str, map(_sorted, answered["Items"])))
    if "Item" in answered:
        return _sorted(answered["Item"])
    if "Parameters" in answered or "Parameter" in answered:
        found = answered.get("Parameters") or [answered["Parameter"]]
        return [(each["Name"], each["Value"], each["Version"]) for each in found]
    return answered.get("Version")


def _sorted(item: dict[str, Any]) -> list[tuple[str, object]]:
    return sorted(item.items())


@pytest.fixture
def moto() -> Iterator[tuple[Any, Any]]:
    with mock_aws():
        dynamodb, ssm = aws_session().client("dynamodb"), aws_session().client("ssm")
        for table, keys in KEYS.items():
            kinds = zip(keys, ("HASH", "RANGE"), strict=False)
            dynamodb.create_table(
                TableName=table,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[
                    {"AttributeName": key, "AttributeType": "N" if key in NUMBER_KEYS else "S"}
                    for key in keys
                ],
                KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in kinds],  # type: ignore[typeddict-item]
            )
        yield dynamodb, ssm


def test_tables_answer_as_moto_does(moto: tuple[Any, Any]) -> None:
    memory = MemoryDynamoDb(KEYS)
    for number, ask in enumerate(TABLE_CALLS):
        assert answer(ask, memory) == answer(ask, moto[0]), f"call {number}"


def test_a_transaction_with_the_same_token_is_made_once() -> None:
    """As AWS says, and moto does not do.
    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
    """
    memory = MemoryDynamoDb(KEYS)
    registered = transaction(register("draft"), put_record(1), token="one-and-the-same")
    assert answer(registered, memory) == answer(registered, memory)
    assert len(memory.items(AUDIT_TABLE)) == len(memory.items(REGISTRY_TABLE)) == 1


def test_parameters_answer_as_moto_does(moto: tuple[Any, Any]) -> None:
    memory = MemoryParameters(lambda: 1_795_000_000_000)
    for number, ask in enumerate(PARAMETER_CALLS):
        assert answer(ask, memory) == answer(ask, moto[1]), f"call {number}"


def test_the_hundred_newest_versions_are_kept() -> None:
    memory = MemoryParameters(lambda: 1_795_000_000_000)
    for number in range(103):
        memory.put_parameter(Name="/p", Value=str(number), Type="String", Overwrite=True)
    kept = memory.get_parameter_history(Name="/p")["Parameters"]
    assert [each["Version"] for each in kept] == list(range(4, 104))
