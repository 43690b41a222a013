"""Proposed route sets: one SSM parameter each, below one path, written once."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import msgspec

from gateway.control.audit import ROUTE_SET_SUBJECT, Action, AuditTable, Author, Change
from gateway.control.refusals import TransitionRefusedError, UnknownRouteSetError, VersionConflictError
from gateway.routing.policy import MAXIMUM_ROUTE_SET_BYTES, RouteSet

if TYPE_CHECKING:
    from types_boto3_ssm.client import SSMClient


class Proposed(msgspec.Struct, frozen=True):
    """A route set of the library, as it is listed."""

    name: str
    version: str
    proposed_at: datetime.datetime


class RouteSetLibrary:
    """The parameters below `path`. Every method blocks, and raises what boto3 raises."""

    def __init__(self, client: SSMClient, path: str, audit: AuditTable) -> None:
        self._client = client
        self._path = path
        self._audit = audit

    def propose(self, route_set: RouteSet, author: Author) -> bool:
        """Put `route_set` there; False where exactly this is there already.

        The record is written first: should the process end in between, it tells of a proposal that is not
        there, and to propose again is all that is to be done.

        Raises:
            TransitionRefusedError: it is larger than a parameter.
            VersionConflictError: its name and version are taken by another content.
        """
        text = msgspec.json.encode(route_set).decode()
        size = len(text.encode())
        if size > MAXIMUM_ROUTE_SET_BYTES:
            raise TransitionRefusedError(
                f"{route_set.policy_version} has {size} bytes; a parameter holds {MAXIMUM_ROUTE_SET_BYTES}. "
                "Leave out models or domains"
            )
        if self._is_there(route_set, text):
            return False
        change = Change(ROUTE_SET_SUBJECT, Action.PROPOSE, "", route_set.policy_version, author)
        self._audit.append(change)
        try:
            self._client.put_parameter(
                Name=self._name(route_set.name, route_set.version),
                Value=text,
                Type="String",
                Overwrite=False,
                Description="Proposed route set; never overwritten",
            )
        except self._client.exceptions.ParameterAlreadyExists:
            return not self._is_there(route_set, text)
        return True

    def text(self, name: str, version: str) -> str:
        """What was proposed under `name` and `version`.

        Raises:
            UnknownRouteSetError: nothing was.
        """
        try:
            return self._client.get_parameter(Name=self._name(name, version))["Parameter"]["Value"]
        except self._client.exceptions.ParameterNotFound:
            raise UnknownRouteSetError(
                f"no route set {name}@{version} is in the library; propose it"
            ) from None

    def listed(self) -> tuple[Proposed, ...]:
        """Everything in the library, by name and version."""
        found: list[Proposed] = []
        pages = self._client.get_paginator("get_parameters_by_path").paginate(Path=self._path, Recursive=True)
        for page in pages:
            for parameter in page["Parameters"]:
                name, _, version = parameter["Name"].removeprefix(f"{self._path}/").partition("/")
                found.append(Proposed(name, version, parameter["LastModifiedDate"]))
        return tuple(sorted(found, key=lambda each: (each.name, each.version)))

    def _is_there(self, route_set: RouteSet, text: str) -> bool:
        try:
            stored = self.text(route_set.name, route_set.version)
        except UnknownRouteSetError:
            return False
        if stored != text:
            raise VersionConflictError(f"route set {route_set.policy_version}")
        return True

    def _name(self, name: str, version: str) -> str:
        return f"{self._path}/{name}/{version}"
