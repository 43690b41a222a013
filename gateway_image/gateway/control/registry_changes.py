"""What may be changed in the registry: a version is added, and its lifecycle moved, never without a record.

The change and its audit record are one transaction, so there is neither without the other, whenever the
process ends. https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec
from botocore.exceptions import HTTPClientError

from gateway.control.audit import Action, AuditTable, Author, Change, log_record, model_subject
from gateway.control.lifecycle import move_action
from gateway.control.refusals import (
    ConflictError,
    TransitionRefusedError,
    UnknownVersionError,
    VersionConflictError,
)
from gateway.control.registry import PARTITION_KEY, SORT_KEY, Lifecycle, RegistryItem, item_to_fields
from gateway.control.registry_table import RegistryTable
from gateway.control.stored_items import to_stored
from gateway.routing.policy import RouteSet

if TYPE_CHECKING:
    from types_boto3_dynamodb.client import DynamoDBClient
    from types_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

ATTEMPTS = 5
"""Of a change that was cancelled for something that has nothing to do with what it changes."""

CONDITION_FAILED = "ConditionalCheckFailed"
AT_THE_SAME_MOMENT = "TransactionConflict"
"""Reasons of a cancelled transaction; of both it is certain that nothing was written."""


class Move(msgspec.Struct, frozen=True):
    """A move that was made."""

    before: Lifecycle
    after: Lifecycle
    action: Action


class RegistryChanges:
    """Changes of the registry's table. Every method blocks, and raises what boto3 raises."""

    def __init__(self, client: DynamoDBClient, table: str, audit: AuditTable) -> None:
        self._client = client
        self._table_name = table
        self._table = RegistryTable(client, table)
        self._audit = audit

    def register(self, item: RegistryItem, author: Author) -> bool:
        """Add a version; False where it is there already, whatever its lifecycle has become since.

        Raises:
            VersionConflictError: the version exists with other content.
            ConflictError: others changed the same version every time.
        """
        subject = model_subject(item.key, item.version)
        put: TransactWriteItemTypeDef = {
            "Put": {
                "TableName": self._table_name,
                "Item": to_stored(item_to_fields(item)),
                "ConditionExpression": "attribute_not_exists(#version)",
                "ExpressionAttributeNames": {"#version": SORT_KEY},
            }
        }
        change = Change(subject, Action.PROPOSE, "", item.lifecycle, author)
        for _attempt in range(ATTEMPTS):
            stored = self._readable(item.key, item.version)
            if stored is not None:
                if msgspec.structs.replace(stored, lifecycle=item.lifecycle) != item:
                    raise VersionConflictError(f"{item.key} version {item.version}")
                return False
            if not self._commit(put, change):
                return True
        raise ConflictError(f"{subject} is being changed by somebody else; look at it, then ask again")

    def move(
        self,
        key: str,
        version: str,
        to: Lifecycle,
        *,
        in_force: Callable[[], RouteSet | None],
        author: Author,
    ) -> Move:
        """Move a version to the state `to`. `in_force` reads the route set in force, to retire it.

        A version that is put into the route set in force between that look and the move is retired all the
        same: the two are in different stores. Replicas then leave the model out and complain.

        Raises:
            UnknownVersionError: it is not registered.
            TransitionRefusedError: the move is not allowed.
            ConflictError: somebody else moved it at the same moment.
        """
        item = self._readable(key, version)
        if item is None:
            raise UnknownVersionError(f"{key} version {version} is not registered")
        action = move_action(item, to, in_force() if to is Lifecycle.RETIRED else None)
        return self.move_from(item, Move(item.lifecycle, to, action), author)

    def move_from(self, item: RegistryItem, move: Move, author: Author) -> Move:
        """Make the `move` that was judged for `item`, if it still is in the state it is to leave.

        Raises:
            ConflictError: it no longer is.
        """
        update: TransactWriteItemTypeDef = {
            "Update": {
                "TableName": self._table_name,
                "Key": to_stored({PARTITION_KEY: item.key, SORT_KEY: item.version}),
                "UpdateExpression": "SET lifecycle = :after",
                "ConditionExpression": "lifecycle = :before",
                "ExpressionAttributeValues": to_stored({":before": move.before, ":after": move.after}),
            }
        }
        subject = model_subject(item.key, item.version)
        change = Change(subject, move.action, move.before, move.after, author)
        for _attempt in range(ATTEMPTS):
            reasons = self._commit(update, change)
            if not reasons:
                return move
            if reasons[0] == CONDITION_FAILED:
                break
        raise ConflictError(
            f"{item.key} version {item.version} was {move.before} and is being moved by somebody else; look "
            "at it, then ask again"
        )

    def _readable(self, key: str, version: str) -> RegistryItem | None:
        try:
            return self._table.get(key, version)
        except msgspec.ValidationError as error:
            raise TransitionRefusedError(f"{key} version {version} is unreadable: {error}") from None

    def _commit(self, write: TransactWriteItemTypeDef, change: Change) -> Sequence[str]:
        """Write and record; nothing where it was done, else why each of the two was not."""
        record = self._audit.record_after(self._audit.end(change.subject), change)
        items = [write, self._audit.transaction_item(record)]
        token = str(uuid.uuid4())
        try:
            try:
                self._client.transact_write_items(TransactItems=items, ClientRequestToken=token)
            except HTTPClientError:  # it may have been done: with the same token it is done once
                self._client.transact_write_items(TransactItems=items, ClientRequestToken=token)
        except self._client.exceptions.TransactionCanceledException as cancelled:
            reasons = [
                str(reason.get("Code", "None"))
                for reason in cancelled.response.get("CancellationReasons", ())
            ]
            if set(reasons) & {CONDITION_FAILED, AT_THE_SAME_MOMENT}:
                return reasons
            raise
        log_record(record)
        return ()
