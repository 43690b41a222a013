"""What happens to the registry and the route set: proposals, moves, deployments, activations, replicas."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from gateway.control.audit import AuditTable, Author, How
from gateway.control.refusals import (
    ConflictError,
    TransitionRefusedError,
    UnknownRouteSetError,
    UnknownVersionError,
    VersionConflictError,
)
from gateway.control.registry import Lifecycle, RegistryItem, item_to_fields
from gateway.control.registry_changes import RegistryChanges
from gateway.control.registry_table import RegistryTable
from gateway.control.route_set_activation import RouteSetInForce
from gateway.control.route_set_library import RouteSetLibrary
from gateway.control.stored_items import from_stored
from gateway.routing.policy import RouteSet, parse_route_set
from lambdas.audit_record import AuditTrail
from lambdas.registry_guard import handler as registry_guard
from tests.control_plane.cloud import AUDIT_TABLE, LIBRARY, REGISTRY_TABLE, ROUTE_SET, Cloud
from tests.control_plane.memory_dynamodb import Stored, TableResource
from tests.control_plane.memory_parameters import ParameterVersion
from tests.control_plane.replica import Replica
from tests.gateway.stores import declared_models, declared_route_set

VERSIONS = ("2026-11-01", "2026-11-02", "2026-11-03")
BORN = 2
"""So many of them are deployed when it begins."""
ROUTE_SETS = 5
VARIANTS = 3
ALLOWED_MOVES = {
    ("draft", "canary"),
    ("canary", "active"),
    ("active", "deprecated"),
    ("deprecated", "active"),
    ("draft", "retired"),
    ("canary", "retired"),
    ("active", "retired"),
    ("deprecated", "retired"),
}
"""Written down once more: what `docs/contracts.md` says, apart from the code under test."""

REFUSALS = (
    BotoCoreError,
    ClientError,
    ConflictError,
    TransitionRefusedError,
    UnknownRouteSetError,
    UnknownVersionError,
    VersionConflictError,
)
_MODELS = {each.provider: each for each in declared_models()}


def item_of(model: int, version: int, variant: int, lifecycle: str) -> RegistryItem:
    """One of few versions; the second variant has another latency, the third leaves the EU."""
    declared = list(_MODELS.values())[model]
    residency = msgspec.structs.replace(declared.residency, eu_processing=True, eu_licence=variant != 2)
    return msgspec.structs.replace(
        declared,
        version=VERSIONS[version],
        lifecycle=Lifecycle(lifecycle),
        expected_latency_ms=1000 + (variant == 1),
        residency=residency,
    )


def route_set_of(number: int) -> RouteSet:
    """One of few route sets; some name versions that are not there at first."""
    models = list(_MODELS.values())[: 1 + number // 2]
    declared: dict[str, Any] = {
        **declared_route_set(),
        "name": f"set-{number}",
        "models": [{"key": each.key, "version": VERSIONS[number % len(VERSIONS)]} for each in models],
    }
    return msgspec.convert(declared, RouteSet)


def text_of(route_set: RouteSet) -> str:
    return msgspec.json.encode(route_set).decode()


class RegistryOperations:
    """Every method whose name begins with `do_` is an operation. It watches each write."""

    def __init__(self, cloud: Cloud, replicas: Sequence[Replica]) -> None:
        self.cloud = cloud
        self.replicas = replicas
        self.under_way = 0
        self.overlapped = False
        cloud.dynamodb.watches.append(cloud.seen(self._version_written))
        cloud.parameters.watches.append(cloud.seen(self._route_set_written))
        items = [
            item_of(model, version, 0, "active") for model in range(len(_MODELS)) for version in range(BORN)
        ]
        assert self._deployed(items, route_set_of(0)) is None
        cloud.parameters.put_parameter(
            Name=ROUTE_SET, Value=text_of(route_set_of(0)), Type="String", caller="deployment"
        )
        for number in range(ROUTE_SETS - 1):
            self._library("deployment").propose(route_set_of(number), self._author("deployment"))

    # ---- administrators ----------------------------------------------------------------------------

    def do_propose_version(self, model: int, version: int, variant: int, who: str) -> None:
        self._attempt(
            lambda: self._changes(who).register(item_of(model, version, variant, "draft"), self._author(who))
        )

    def do_move(self, model: int, version: int, to: str, who: str) -> None:
        item = item_of(model, version, 0, "draft")
        in_force = self._in_force(who).route_set
        self._attempt(
            lambda: self._changes(who).move(
                item.key, item.version, Lifecycle(to), in_force=in_force, author=self._author(who)
            )
        )

    def do_propose_route_set(self, number: int, who: str) -> None:
        self._attempt(lambda: self._library(who).propose(route_set_of(number), self._author(who)))

    def do_activate(self, number: int, who: str) -> None:
        wanted = route_set_of(number)

        def activate() -> None:
            text = self._library(who).text(wanted.name, wanted.version)
            self._in_force(who).activate(text, self._author(who))

        self._attempt(activate)

    def do_roll_back(self, who: str) -> None:
        self._attempt(lambda: self._in_force(who).rollback(self._author(who)))

    def _attempt(self, change: Callable[[], object]) -> None:
        """A change that may be refused. One that happens during another may overtake its judgement."""
        self.overlapped = self.under_way > 0
        self.under_way += 1
        try:
            change()
        except REFUSALS:
            pass
        finally:
            self.under_way -= 1

    # ---- deployments -------------------------------------------------------------------------------

    def do_deploy(self, items: tuple[tuple[int, int, int, str], ...], route_set: int) -> None:
        declared = {(each[0], each[1]): item_of(*each) for each in items}
        self._attempt(lambda: self._deployed(list(declared.values()), route_set_of(route_set)))

    def _deployed(self, items: Sequence[RegistryItem], route_set: RouteSet) -> str | None:
        tables = self.cloud.tables_for("guard")
        stores = registry_guard.Stores(
            table=TableResource(tables, REGISTRY_TABLE),
            parameters=self.cloud.parameters_for("guard"),
            trail=AuditTrail(tables, AUDIT_TABLE, now=self.cloud.now),
        )
        properties = {
            "TableName": REGISTRY_TABLE,
            "AuditTable": AUDIT_TABLE,
            "Items": json.dumps([item_to_fields(each) for each in items]),
            "RouteSet": text_of(route_set),
            "RouteSetParameter": ROUTE_SET,
            "EuOnly": "true",
        }
        event = {"RequestType": "Update", "StackId": "the-stack", "ResourceProperties": properties}
        return registry_guard.run(event, lambda _declaration: stores)

    # ---- replicas ----------------------------------------------------------------------------------

    def do_replica_refreshes(self, replica: int) -> None:
        one = self.replicas[replica]
        before = one.route_set.value
        one.registry.refresh()
        one.route_set.refresh()
        if before is not None:
            assert one.route_set.value is not None, f"{one.name} lost its route set"

    # ---- what must hold ----------------------------------------------------------------------------

    def check(self) -> None:
        pass

    def check_settled(self) -> None:
        """The route set in force has its record, and replicas that look have what is in force."""
        text = self.cloud.parameters.text(ROUTE_SET)
        assert text is not None
        in_force = parse_route_set(text)
        versions = self.cloud.parameters.versions[ROUTE_SET]
        told = {each["to"] for each in self.cloud.records("route-set") if each["action"] != "propose"}
        assert len(versions) == 1 or in_force.policy_version in told, "in force without a record"
        for replica in self.replicas:
            replica.registry.refresh()
            replica.route_set.refresh()
            assert replica.route_set.value == in_force, f"{replica.name} goes by another route set"

    def _version_written(self, table: str, before: Stored | None, after: Stored, caller: str) -> None:
        """Nothing but the lifecycle ever changes, by allowed moves, and each with its record."""
        if table != REGISTRY_TABLE:
            return
        new, old = from_stored(after), from_stored(before or {})
        name = f"{new['provider#model']}#{new['version']}"
        if before is not None:
            for field in old.keys() | new.keys():
                assert field == "lifecycle" or old.get(field) == new.get(field), f"{name}: {field} changed"
            move = (old["lifecycle"], new["lifecycle"])
            assert move in ALLOWED_MOVES, f"{name} was moved from {move[0]} to {move[1]}"
            if new["lifecycle"] == "retired" and self.under_way < 2:
                named = self._named()
                assert (new["provider#model"], new["version"]) not in named, f"{name} is in force and retired"
        newest = (self.cloud.records(f"model#{name}") or [{}])[-1]
        told = (newest.get("from"), newest.get("to"))
        assert told == (old.get("lifecycle", ""), new["lifecycle"]), f"{name} changed by {caller}: {newest}"

    def _route_set_written(
        self, name: str, before: ParameterVersion | None, after: ParameterVersion | None, caller: str
    ) -> None:
        """What is put into force is good at that moment, unless another change came between, and recorded."""
        if name.startswith(f"{LIBRARY}/"):
            assert before is None, f"{name} was written twice"
        if name != ROUTE_SET or before is None or after is None:
            return
        route_set = parse_route_set(after.text)
        newest = self.cloud.records("route-set")[-1]
        if self.under_way > 1 or self.overlapped:
            return
        told = (newest["action"] in ("activate", "rollback"), newest["to"], newest["who"])
        assert told == (True, route_set.policy_version, caller), f"put into force with the record {newest}"
        registered = {
            (each["provider#model"], each["version"]): each
            for each in map(from_stored, self.cloud.dynamodb.items(REGISTRY_TABLE))
        }
        for reference in route_set.models:
            item: Any = registered.get((reference.key, reference.version))
            assert item is not None, f"{reference} is in force and not registered"
            assert item["lifecycle"] not in ("draft", "retired"), f"{reference} is {item['lifecycle']}"
            assert all(item["residency"].values()), f"{reference} leaves the EU"

    def _named(self) -> set[tuple[str, str]]:
        route_set = parse_route_set(self.cloud.parameters.text(ROUTE_SET) or "")
        return {(each.key, each.version) for each in route_set.models}

    # ---- the administrators' tools -----------------------------------------------------------------

    def _author(self, who: str) -> Author:
        return Author(who, How.ADMIN_API, "by chance")

    def _audit(self, who: str) -> AuditTable:
        return AuditTable(self.cloud.tables_for(who), AUDIT_TABLE, now=self.cloud.now)

    def _changes(self, who: str) -> RegistryChanges:
        return RegistryChanges(self.cloud.tables_for(who), REGISTRY_TABLE, self._audit(who))

    def _library(self, who: str) -> RouteSetLibrary:
        return RouteSetLibrary(self.cloud.parameters_for(who), LIBRARY, self._audit(who))

    def _in_force(self, who: str) -> RouteSetInForce:
        table = RegistryTable(self.cloud.tables_for(who), REGISTRY_TABLE)
        return RouteSetInForce(
            self.cloud.parameters_for(who),
            ROUTE_SET,
            self._audit(who),
            registry=lambda: table.load(None).value,
            eu_only=True,
        )
