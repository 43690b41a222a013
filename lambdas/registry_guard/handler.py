"""Custom resource that writes declared model versions and keeps deployed ones immutable.

CloudFormation sends `{"TableName": …, "Items": "<JSON array of registry items>"}`. A declared version that
the table lacks is written; one that it holds in exactly the declared form is accepted; one that differs
fails the deployment, naming the item and its fields, before anything is written. Deleting the resource
leaves the table alone: deployed versions may be in use.

Items travel as JSON text because CloudFormation turns every number and boolean of a custom resource's
properties into text. The same event may arrive more than once; the second run finds its own items.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol, TypeAlias, cast

import boto3
from botocore.exceptions import ClientError

Value: TypeAlias = "bool | int | Decimal | str | Sequence[Value] | Mapping[str, Value] | None"
Item: TypeAlias = Mapping[str, Value]
Key: TypeAlias = tuple[str, str]
Event: TypeAlias = Mapping[str, object]
Send: TypeAlias = Callable[[str, bytes], None]

PARTITION_KEY = "provider#model"
SORT_KEY = "version"
SEND_ATTEMPTS = 3
SEND_TIMEOUT_S = 10
# CloudFormation refuses a response body over 4,096 bytes. JSON may double a character; the rest needs room.
MAXIMUM_REASON_CHARACTERS = 1_500


class Table(Protocol):
    """The part of boto3's table resource that the guard uses; the arguments are DynamoDB's."""

    def get_item(self, *, Key: dict[str, str], ConsistentRead: bool) -> Mapping[str, object]:  # noqa: N803
        """The item under `Item`, where there is one."""
        ...

    def put_item(
        self,
        *,
        Item: dict[str, Value],  # noqa: N803
        ConditionExpression: str,  # noqa: N803
        ExpressionAttributeNames: dict[str, str],  # noqa: N803
    ) -> object:
        """Raises `ClientError` where the condition does not hold."""
        ...


class RefusedError(Exception):
    """A declaration that must not be deployed; the message is what the operator reads."""


@dataclass(frozen=True)
class Declaration:
    """The versions one environment declares, and the table they belong in."""

    table_name: str
    items: Mapping[Key, Item]


def parse_declaration(properties: object) -> Declaration:
    """Read the custom resource's properties.

    Raises:
        RefusedError: if a property is missing or malformed, an item lacks its key, or two items share one.
    """
    if not isinstance(properties, Mapping):
        raise RefusedError("ResourceProperties is missing. Declare TableName and Items.")
    table_name, text = properties.get("TableName"), properties.get("Items")
    if not isinstance(table_name, str) or not table_name:
        raise RefusedError(f"TableName is {table_name!r}, not a table's name. Declare the registry table.")
    if not isinstance(text, str):
        raise RefusedError(
            f"Items is {type(text).__name__}, not text. Declare a JSON array of items as text."
        )
    try:
        declared = json.loads(text, parse_float=Decimal)
    except ValueError as error:
        raise RefusedError(f"Items is not valid JSON: {error}. Declare a JSON array of items.") from None
    if not isinstance(declared, list):
        raise RefusedError(f"Items is a JSON {type(declared).__name__}. Declare a JSON array of items.")
    return Declaration(table_name=table_name, items=_by_key(declared))


def _by_key(declared: Sequence[object]) -> dict[Key, Item]:
    items: dict[Key, Item] = {}
    for position, item in enumerate(declared):
        if not isinstance(item, dict):
            raise RefusedError(f"Item {position} is not an object. Declare it as a registry item.")
        partition, sort = item.get(PARTITION_KEY), item.get(SORT_KEY)
        if not (isinstance(partition, str) and partition and isinstance(sort, str) and sort):
            raise RefusedError(
                f"Item {position} needs text in {PARTITION_KEY!r} and {SORT_KEY!r}, "
                f"but has {partition!r} and {sort!r}."
            )
        key = (partition, sort)
        if key in items:
            raise RefusedError(f"{_name(key)} is declared twice. Keep one declaration of a version.")
        items[key] = item
    return items


def differences(declared: Value, deployed: Value, path: str = "") -> Iterator[str]:
    """The dotted paths at which two values differ; a flag never equals a number."""
    if isinstance(declared, Mapping) and isinstance(deployed, Mapping):
        for name in sorted(declared.keys() | deployed.keys()):
            inner = f"{path}.{name}" if path else name
            if name in declared and name in deployed:
                yield from differences(declared[name], deployed[name], inner)
            else:
                yield inner
    elif isinstance(declared, bool) is not isinstance(deployed, bool) or declared != deployed:
        yield path


def conflicts(declared: Mapping[Key, Item], deployed: Mapping[Key, Item]) -> list[str]:
    """One line for each declared version that differs from its deployed form."""
    lines = []
    for key, item in declared.items():
        if key in deployed and (fields := list(differences(item, deployed[key]))):
            lines.append(f"{_name(key)} differs in {', '.join(fields)}")
    return lines


def response_body(event: Event, reason: str | None) -> bytes:
    """What CloudFormation is told: success where `reason` is None.

    The physical id never changes once given, so that no update is taken for a replacement.
    """
    physical_id = event.get("PhysicalResourceId") or f"registry-guard-{event.get('LogicalResourceId', '')}"
    ascii_reason = (reason or "Declared versions are deployed.").encode("ascii", "replace").decode()
    body = {
        "Status": "SUCCESS" if reason is None else "FAILED",
        "Reason": ascii_reason[:MAXIMUM_REASON_CHARACTERS],
        "PhysicalResourceId": physical_id,
        "StackId": event.get("StackId", ""),
        "RequestId": event.get("RequestId", ""),
        "LogicalResourceId": event.get("LogicalResourceId", ""),
    }
    return json.dumps(body).encode()


def deploy(declaration: Declaration, table: Table) -> None:
    """Write the absent versions, after checking that the present ones are unchanged.

    Raises:
        RefusedError: if a deployed version differs from its declaration.
    """
    deployed = _read(table, declaration.items)
    _refuse(conflicts(declaration.items, deployed))
    for key, item in declaration.items.items():
        if key not in deployed and not _put_if_absent(table, item):
            # Somebody wrote the version between the read and the put: judge what is there now.
            _refuse(conflicts({key: item}, _read(table, [key])))


def _refuse(lines: Sequence[str]) -> None:
    if lines:
        raise RefusedError(
            f"A deployed model version is immutable, but {'; '.join(lines)}. "
            "Restore the declaration and declare the change as a new version."
        )


def _read(table: Table, keys: Iterable[Key]) -> dict[Key, Item]:
    found: dict[Key, Item] = {}
    for key in keys:
        answer = table.get_item(
            Key=dict(zip((PARTITION_KEY, SORT_KEY), key, strict=True)), ConsistentRead=True
        )
        if "Item" in answer:
            found[key] = cast("Item", answer["Item"])
    return found


def _put_if_absent(table: Table, item: Item) -> bool:
    try:
        table.put_item(
            Item=dict(item),
            ConditionExpression="attribute_not_exists(#key)",
            ExpressionAttributeNames={"#key": PARTITION_KEY},
        )
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") == "ConditionalCheckFailedException":
            return False
        raise
    return True


def _name(key: Key) -> str:
    return f"{key[0]} version {key[1]}"


def send(url: str, body: bytes) -> None:
    """Put `body` to CloudFormation's presigned URL.

    Raises:
        OSError: if no attempt was answered; Lambda then runs the event again.
    """
    # The presigned URL is signed for an empty content type.
    request = urllib.request.Request(url, data=body, method="PUT", headers={"content-type": ""})  # noqa: S310
    for attempt in range(1, SEND_ATTEMPTS + 1):
        try:
            with urllib.request.urlopen(request, timeout=SEND_TIMEOUT_S):  # noqa: S310
                return
        except OSError as error:
            print(json.dumps({"event": "response failed", "attempt": attempt, "error": str(error)}))
            if attempt == SEND_ATTEMPTS:
                raise


def _open_table(name: str) -> Table:
    return cast("Table", boto3.resource("dynamodb").Table(name))


def run(event: Event, open_table: Callable[[str], Table] = _open_table) -> str | None:
    """Do what the event asks; the reason it failed, or None.

    Every failure becomes a reason: an event that is never answered blocks its stack for an hour.
    """
    try:
        if event.get("RequestType") != "Delete":
            declaration = parse_declaration(event.get("ResourceProperties"))
            deploy(declaration, open_table(declaration.table_name))
    except RefusedError as error:
        return str(error)
    except Exception as error:
        return f"The registry could not be checked: {type(error).__name__}: {error}"
    return None


def handler(event: Event, context: object, *, send: Send = send) -> None:  # noqa: ARG001
    """Run one CloudFormation custom resource event and answer its response URL."""
    reason = run(event)
    print(json.dumps({"event": "registry guard", "request": event.get("RequestType"), "failure": reason}))
    send(str(event["ResponseURL"]), response_body(event, reason))
