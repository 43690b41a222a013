"""Putting a route set into force, and going back: a single write, judged and recorded before it is made."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from gateway.control.audit import (
    LONGEST_WHY,
    ROUTE_SET_SUBJECT,
    Action,
    AuditConflictError,
    AuditRecord,
    AuditTable,
    Author,
    Change,
)
from gateway.control.refusals import TransitionRefusedError
from gateway.control.registry import RegistryView
from gateway.control.route_set_judgement import text_problems
from gateway.routing.policy import RouteSet, parse_route_set

if TYPE_CHECKING:
    from types_boto3_ssm.client import SSMClient

PAGE_OF_HISTORY = 50
"""The most that Parameter Store gives at once; it keeps the last hundred."""

UNREADABLE = "unreadable"

logger = logging.getLogger(__name__)


class Past(msgspec.Struct, frozen=True):
    """A text that was put into force. `policy_version` is `unreadable` where it is no route set."""

    parameter_version: int
    policy_version: str
    activated_at: datetime.datetime
    text: str


class Activation(msgspec.Struct, frozen=True):
    """What was put into force. `overtook` counts those of others between the judgement and the write."""

    before: str
    after: str
    parameter_version: int
    overtook: int


class RouteSetInForce:
    """The parameter with the route set in force. Every method blocks, and raises what boto3 raises.

    `registry` reads what is registered, as it is now.
    """

    def __init__(
        self,
        client: SSMClient,
        parameter: str,
        audit: AuditTable,
        *,
        registry: Callable[[], RegistryView],
        eu_only: bool,
    ) -> None:
        self._client = client
        self._parameter = parameter
        self._audit = audit
        self._registry = registry
        self._eu_only = eu_only

    def read(self) -> Past:
        """What is in force now."""
        parameter = self._client.get_parameter(Name=self._parameter)["Parameter"]
        return _past(parameter["Version"], parameter["Value"], parameter["LastModifiedDate"])

    def route_set(self) -> RouteSet:
        """The route set in force.

        Raises:
            TransitionRefusedError: the parameter holds none, so that nobody knows what replicas go by.
        """
        text = self.read().text
        try:
            return parse_route_set(text)
        except ValueError as error:
            raise TransitionRefusedError(
                f"{self._parameter} is no route set: {error}; activate one or roll back first"
            ) from None

    def history(self) -> tuple[Past, ...]:
        """What Parameter Store keeps of it, newest first, the one in force among them."""
        found: list[Past] = []
        pages = self._client.get_paginator("get_parameter_history").paginate(
            Name=self._parameter, PaginationConfig={"PageSize": PAGE_OF_HISTORY}
        )
        for page in pages:
            for parameter in page["Parameters"]:
                found.append(_past(parameter["Version"], parameter["Value"], parameter["LastModifiedDate"]))
        return tuple(sorted(found, key=lambda each: each.parameter_version, reverse=True))

    def activate(self, text: str, author: Author) -> Activation:
        """Put `text` into force.

        Raises:
            TransitionRefusedError: something speaks against it, or it is in force.
            ConflictError: somebody else changes the route set at the same moment.
        """
        return self._put(lambda _before: text, Action.ACTIVATE, author)

    def rollback(self, author: Author) -> Activation:
        """Put the newest earlier text into force that is another route set and passes the judgement.

        Raises:
            TransitionRefusedError: there is none.
            ConflictError: somebody else changes the route set at the same moment.
        """
        return self._put(self._earlier, Action.ROLLBACK, author)

    def problems(self, text: str) -> tuple[str, ...]:
        """What speaks against putting `text` into force now."""
        return text_problems(text, self._registry(), eu_only=self._eu_only)

    def _put(self, choose: Callable[[Past], str], action: Action, author: Author) -> Activation:
        """Judge, record, write. Of several who judged the same state one gets to write its record."""
        end = self._audit.end(ROUTE_SET_SUBJECT)
        before = self.read()
        text = choose(before)
        if _same(text, before.text):
            raise TransitionRefusedError(f"{before.policy_version} is in force already")
        problems = self.problems(text)
        if problems:
            raise TransitionRefusedError("; ".join(problems))
        after = _policy_version(text)
        change = Change(ROUTE_SET_SUBJECT, action, before.policy_version, after, author)
        record = self._audit.append_after(end, change)
        try:
            version = self._client.put_parameter(
                Name=self._parameter, Value=text, Type="String", Overwrite=True
            )["Version"]
        except (BotoCoreError, ClientError) as error:
            self._not_confirmed(record, author, error)
            raise
        overtook = version - before.parameter_version - 1
        if overtook:
            logger.warning(
                "route set of somebody else replaced",
                extra={"activated": after, "parameter_version": version, "overtook": overtook},
            )
        return Activation(before.policy_version, after, version, overtook)

    def _earlier(self, in_force: Past) -> str:
        registry = self._registry()
        passed_over: list[str] = []
        for past in self.history():
            if past.parameter_version >= in_force.parameter_version or _same(past.text, in_force.text):
                continue
            problems = text_problems(past.text, registry, eu_only=self._eu_only)
            if not problems:
                return past.text
            passed_over.append(f"{past.policy_version} (version {past.parameter_version}): {problems[0]}")
        reasons = "; ".join(passed_over) or "the history holds no other"
        raise TransitionRefusedError(f"no earlier route set can be put into force: {reasons}")

    def _not_confirmed(self, record: AuditRecord, author: Author, error: Exception) -> None:
        """Record that the change which `record` announces did not come, where records can be written."""
        why = f"Parameter Store did not confirm record {record.sequence}: {error}"[:LONGEST_WHY]
        refused = Author(author.who, author.how, why)
        try:
            self._audit.append(
                Change(ROUTE_SET_SUBJECT, Action.REFUSED, record.after, record.before, refused)
            )
        except (BotoCoreError, ClientError, AuditConflictError) as lost:
            logger.warning("refusal not recorded", extra={"problem": str(lost)})


def _past(version: int, text: str, activated_at: datetime.datetime) -> Past:
    return Past(version, _policy_version(text), activated_at, text)


def _policy_version(text: str) -> str:
    try:
        return parse_route_set(text).policy_version
    except ValueError:
        return UNREADABLE


def _same(one: str, other: str) -> bool:
    """Whether both are the same route set, however they are written."""
    if one == other:
        return True
    try:
        return parse_route_set(one) == parse_route_set(other)
    except ValueError:
        return False
