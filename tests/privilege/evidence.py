"""What a replica counts in the shadow stage, added to the flag table with the task role's credentials."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import ClientError

from gateway.control.flag_chain import FlagAnswer, built_in
from gateway.control.flag_declarations import ROLLOUT_STAGE, SHADOW_SHARE
from gateway.control.flag_evidence import EvidenceWriter, ShadowEvidence
from gateway.control.flag_rules import evidence_key
from gateway.control.flags import Flags
from local.task_definition import read_task
from tests.local.embedded_cloud import RunningCloud
from tests.privilege.clients import admin, as_role, outputs

MOMENT_MS = 1
"""A shadow stage that nobody looks at."""


def evidence(cloud: RunningCloud) -> Iterator[tuple[str, str | None]]:
    """Count a decision; and fail to write of flags and versions what is none of a replica's business."""
    service = outputs(cloud, "gateway")
    task = read_task(cloud.account, service["ClusterName"], service["ServiceName"])
    table = task.environment["FLAG_TABLE"]
    client = as_role(cloud.account, task.role_arn, "dynamodb")
    key = {"flag": {"S": evidence_key(ROLLOUT_STAGE, MOMENT_MS)}}
    flags = admin(cloud, "dynamodb")
    try:
        counted = ShadowEvidence()
        counted.answered("req_1", _in_shadow())
        EvidenceWriter(counted, client, table).flush()
        written = flags.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item", {})
        yield "counts evidence of the shadow stage", None if written else f"{key} is not in {table}"
    finally:
        flags.delete_item(TableName=table, Key=key)
    row = {"flag": {"S": ROLLOUT_STAGE}, "value": {"S": "active"}}
    key = {"provider#model": {"S": "bedrock#claude-sonnet-4-5"}, "version": {"S": "2026-11-01"}}
    change = {
        "TableName": task.environment["MODEL_REGISTRY_TABLE"],
        "Key": key,
        "UpdateExpression": "SET lifecycle = :x, price = :x",
        "ExpressionAttributeValues": {":x": {"S": "active"}},
    }
    for check, call in {
        "leaves flags to whole writes": lambda: _count(client, table, "kill-switch.all"),
        "puts no flag but kill switches": lambda: client.put_item(TableName=table, Item=row),
        "puts no evidence": lambda: client.put_item(
            TableName=table, Item={**row, "flag": {"S": "evidence#x"}}
        ),
        "changes of a version its lifecycle alone": lambda: client.update_item(**change),
        "changes no more of it in a transaction": lambda: client.transact_write_items(
            TransactItems=[{"Update": change}]
        ),
    }.items():
        yield check, _refused(call)


def _count(client: Any, table: str, flag: str) -> None:  # noqa: ANN401 - boto3's client
    client.update_item(
        TableName=table,
        Key={"flag": {"S": flag}},
        UpdateExpression="ADD decisions :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
    )


def _refused(call: Callable[[], object]) -> str | None:
    try:
        call()
    except ClientError as error:
        return None if "AccessDenied" in str(error) else str(error)
    return "it was done"


def _in_shadow() -> Flags:
    said = {
        ROLLOUT_STAGE: FlagAnswer("shadow", "parameter", 0.0, MOMENT_MS),
        SHADOW_SHARE: FlagAnswer(100.0, "parameter", 0.0, MOMENT_MS),
    }
    return Flags({**built_in(), **said})
