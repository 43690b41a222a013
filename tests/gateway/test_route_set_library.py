"""Route sets are proposed once, activated by one judged write, and can be gone back from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from gateway.control.audit import ROUTE_SET_SUBJECT, AuditTable, Author, How
from gateway.control.refusals import (
    ConflictError,
    TransitionRefusedError,
    UnknownRouteSetError,
    VersionConflictError,
)
from gateway.control.registry import Lifecycle, RegistryItem
from gateway.control.registry_table import RegistryTable
from gateway.control.route_set_activation import RouteSetInForce
from gateway.control.route_set_library import RouteSetLibrary
from gateway.routing.policy import RouteSet
from tests.gateway.stores import (
    AUDIT_TABLE,
    ROUTE_SET,
    ROUTE_SET_LIBRARY,
    TABLE,
    Stores,
    declared_models,
    declared_route_set,
)

ANNA = Author("anna", How.COMMAND, "it is time")
BERND = Author("bernd", How.ADMIN_API, "I was first")
DECLARED = msgspec.convert(declared_route_set(), RouteSet)


def version(text: str, **changes: Any) -> RouteSet:  # noqa: ANN401 - fields of a route set
    return msgspec.structs.replace(DECLARED, version=text, **changes)


def encoded(route_set: RouteSet) -> str:
    return msgspec.json.encode(route_set).decode()


class World:
    """The stores of route sets."""

    def __init__(self) -> None:
        self.stores = Stores()
        self.stores.create_tables()
        for item in declared_models():
            self.stores.register(item)
        self.stores.put_route_set(json.dumps(declared_route_set()))
        self.ssm = self.stores.ssm
        self.audit = AuditTable(self.stores.dynamodb, AUDIT_TABLE)
        self.library = RouteSetLibrary(self.ssm, ROUTE_SET_LIBRARY, self.audit)
        table = RegistryTable(self.stores.dynamodb, TABLE)
        self.in_force = RouteSetInForce(
            self.ssm, ROUTE_SET, self.audit, registry=lambda: table.load(None).value, eu_only=True
        )

    @property
    def text(self) -> str:
        return str(self.ssm.get_parameter(Name=ROUTE_SET)["Parameter"]["Value"])

    @property
    def history(self) -> list[str]:
        chain = self.audit.chain(ROUTE_SET_SUBJECT)
        assert chain.problems == ()
        return [f"{each.action} {each.before}→{each.after} {each.who}" for each in chain.records]

    def registered(self, item: RegistryItem) -> None:
        self.stores.register(item)


Interference = Callable[[World, Callable[[], object]], None]


@pytest.fixture
def before_record(monkeypatch: pytest.MonkeyPatch) -> Interference:
    """Lets somebody else do something between the judgement of the next change and its record."""

    def interfere(world: World, other: Callable[[], object]) -> None:
        append_after = world.audit.append_after

        def overtaken(end: Any, change: Any) -> Any:  # noqa: ANN401 - passed on
            monkeypatch.setattr(world.audit, "append_after", append_after)
            other()
            return append_after(end, change)

        monkeypatch.setattr(world.audit, "append_after", overtaken)

    return interfere


@pytest.fixture
def world() -> Iterator[World]:
    with mock_aws():
        yield World()


def test_a_proposed_route_set_lies_in_the_library_and_is_not_in_force(world: World) -> None:
    before = world.text
    assert world.library.propose(version("2026-12-01"), ANNA)
    assert world.library.text("default", "2026-12-01") == encoded(version("2026-12-01"))
    assert world.text == before
    assert world.history == ["propose →default@2026-12-01 anna"]
    assert not world.library.propose(version("2026-12-01"), ANNA)
    assert len(world.history) == 1


def test_a_proposed_route_set_is_never_overwritten(world: World) -> None:
    world.library.propose(version("2026-12-01"), ANNA)
    other = version("2026-12-01", models=DECLARED.models[:2])
    with pytest.raises(VersionConflictError, match="route set default@2026-12-01 exists with other content"):
        world.library.propose(other, ANNA)
    assert world.library.text("default", "2026-12-01") == encoded(version("2026-12-01"))
    assert len(world.history) == 1


@pytest.mark.parametrize("same", [True, False])
def test_of_two_who_propose_at_once_the_first_stays(
    world: World, monkeypatch: pytest.MonkeyPatch, same: bool
) -> None:
    append = world.audit.append
    theirs = version("2026-12-01") if same else version("2026-12-01", models=DECLARED.models[:2])

    def overtaken(change: Any) -> Any:  # noqa: ANN401 - passed on
        monkeypatch.setattr(world.audit, "append", append)
        assert world.library.propose(theirs, BERND)
        return append(change)

    monkeypatch.setattr(world.audit, "append", overtaken)
    if same:
        assert not world.library.propose(version("2026-12-01"), ANNA)
    else:
        with pytest.raises(VersionConflictError):
            world.library.propose(version("2026-12-01"), ANNA)
    assert world.library.text("default", "2026-12-01") == encoded(theirs)


def test_a_route_set_that_no_parameter_holds_is_not_proposed(world: World) -> None:
    domains = {f"domain-{n}": DECLARED.domains[DECLARED.default_domain] for n in range(200)}
    large = version("2026-12-01", domains={**DECLARED.domains, **domains})
    with pytest.raises(TransitionRefusedError, match="a parameter holds 4096"):
        world.library.propose(large, ANNA)
    assert world.history == []


def test_the_library_is_listed_whole(world: World) -> None:
    names = [f"2026-12-{day:02}" for day in range(1, 14)]  # more than the ten of one answer
    for name in reversed(names):
        world.library.propose(version(name), ANNA)
    world.library.propose(version("2026-12-01", name="another"), ANNA)
    listed = [(each.name, each.version) for each in world.library.listed()]
    assert listed == [("another", "2026-12-01"), *(("default", name) for name in names)]


def test_what_is_not_in_the_library_is_told_so(world: World) -> None:
    with pytest.raises(UnknownRouteSetError, match="no route set default@2026-12-01 is in the library"):
        world.library.text("default", "2026-12-01")


def test_an_activation_is_one_write_with_its_record_before_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, recorded = world.ssm.put_parameter, []

    def watched(**arguments: Any) -> Any:  # noqa: ANN401 - passed on
        recorded.append(list(world.history))
        return put(**arguments)

    monkeypatch.setattr(world.ssm, "put_parameter", watched)
    made = world.in_force.activate(encoded(version("2026-12-01")), ANNA)
    assert world.text == encoded(version("2026-12-01"))
    assert recorded == [["activate default@2026-11-01→default@2026-12-01 anna"]]
    assert (made.before, made.after, made.parameter_version, made.overtook) == (
        "default@2026-11-01", "default@2026-12-01", 2, 0,
    )  # fmt: skip


@pytest.mark.parametrize("state", [Lifecycle.DRAFT, Lifecycle.RETIRED])
def test_a_route_set_that_is_judged_bad_is_not_activated(world: World, state: Lifecycle) -> None:
    first = next(item for item in declared_models() if item.key == DECLARED.models[0].key)
    world.registered(msgspec.structs.replace(first, lifecycle=state))
    before = world.text
    with pytest.raises(TransitionRefusedError, match=rf"models\[0\]: .* is {state}"):
        world.in_force.activate(encoded(version("2026-12-01")), ANNA)
    for text in ("{", "{}"):
        with pytest.raises(TransitionRefusedError, match="it is no route set"):
            world.in_force.activate(text, ANNA)
    assert world.text == before
    assert world.history == []


def test_what_is_in_force_is_not_activated_again_however_it_is_written(world: World) -> None:
    with pytest.raises(TransitionRefusedError, match="default@2026-11-01 is in force already"):
        world.in_force.activate(encoded(DECLARED), ANNA)
    assert world.history == []


def test_of_two_who_activate_at_once_exactly_one_does(world: World, before_record: Interference) -> None:
    before_record(world, lambda: world.in_force.activate(encoded(version("2026-12-02")), BERND))
    with pytest.raises(ConflictError, match="is being changed by somebody else"):
        world.in_force.activate(encoded(version("2026-12-01")), ANNA)
    assert world.text == encoded(version("2026-12-02"))
    assert world.history == ["activate default@2026-11-01→default@2026-12-02 bernd"]


def test_a_write_of_somebody_without_a_record_is_noticed(world: World, before_record: Interference) -> None:
    before_record(world, lambda: world.stores.put_route_set(encoded(version("2026-12-02"))))
    made = world.in_force.activate(encoded(version("2026-12-01")), ANNA)
    assert made.overtook == 1
    assert world.text == encoded(version("2026-12-01"))


def test_a_crash_between_record_and_write_leaves_the_route_set_and_can_be_repeated(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class CrashError(BaseException):
        """Nothing after this runs, as when the process is killed."""

    def crash(**_arguments: object) -> None:
        raise CrashError

    before = world.text
    with monkeypatch.context() as crashing:
        crashing.setattr(world.ssm, "put_parameter", crash)
        with pytest.raises(CrashError):
            world.in_force.activate(encoded(version("2026-12-01")), ANNA)
    assert world.text == before
    assert len(world.history) == 1
    world.in_force.activate(encoded(version("2026-12-01")), ANNA)
    assert world.text == encoded(version("2026-12-01"))
    assert world.history == ["activate default@2026-11-01→default@2026-12-01 anna"] * 2


def test_a_write_that_fails_changes_nothing_and_the_records_say_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(**_arguments: object) -> None:
        raise EndpointConnectionError(endpoint_url="http://ssm")

    before = world.text
    with monkeypatch.context() as broken:
        broken.setattr(world.ssm, "put_parameter", down)
        with pytest.raises(EndpointConnectionError):
            world.in_force.activate(encoded(version("2026-12-01")), ANNA)
    assert world.text == before
    assert world.history == [
        "activate default@2026-11-01→default@2026-12-01 anna",
        "refused default@2026-12-01→default@2026-11-01 anna",
    ]


@pytest.mark.parametrize("call", ["query", "put_item", "scan"])
def test_nothing_is_activated_without_record_or_judgement(
    world: World, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def down(*_arguments: object, **_named: object) -> None:
        raise EndpointConnectionError(endpoint_url="http://dynamodb")

    before = world.text
    with monkeypatch.context() as broken:
        broken.setattr(world.stores.dynamodb, call, down)
        if call == "scan":
            broken.setattr(world.stores.dynamodb, "get_paginator", down)
        table = RegistryTable(world.stores.dynamodb, TABLE)
        in_force = RouteSetInForce(
            world.ssm, ROUTE_SET, world.audit, registry=lambda: table.load(None).value, eu_only=True
        )
        with pytest.raises(EndpointConnectionError):
            in_force.activate(encoded(version("2026-12-01")), ANNA)
    assert world.text == before
    assert world.history == []


def test_a_rollback_puts_the_one_before_into_force_and_is_recorded(world: World) -> None:
    world.in_force.activate(encoded(version("2026-12-01")), ANNA)
    world.in_force.activate(encoded(version("2026-12-02")), ANNA)
    made = world.in_force.rollback(BERND)
    assert world.text == encoded(version("2026-12-01"))
    assert (made.before, made.after) == ("default@2026-12-02", "default@2026-12-01")
    assert world.history[-1] == "rollback default@2026-12-02→default@2026-12-01 bernd"


def test_a_rollback_passes_over_what_is_the_same_unreadable_or_no_longer_good(world: World) -> None:
    first = next(item for item in declared_models() if item.key == DECLARED.models[0].key)
    newer = msgspec.structs.replace(first, version="2026-12-01")
    world.registered(newer)
    models = (msgspec.structs.replace(DECLARED.models[0], version="2026-12-01"), *DECLARED.models[1:])
    world.in_force.activate(encoded(version("2026-12-01", models=models)), ANNA)
    world.stores.put_route_set("no route set")
    world.stores.put_route_set(encoded(version("2026-12-02")))
    world.stores.put_route_set(json.dumps(msgspec.to_builtins(version("2026-12-02")), indent=1))
    world.registered(msgspec.structs.replace(newer, lifecycle=Lifecycle.RETIRED))
    assert world.in_force.rollback(ANNA).after == "default@2026-11-01"


def test_a_rollback_is_refused_where_there_is_nothing_to_go_back_to(world: World) -> None:
    with pytest.raises(TransitionRefusedError, match="the history holds no other"):
        world.in_force.rollback(ANNA)
    world.ssm.delete_parameter(Name=ROUTE_SET)
    world.stores.put_route_set("{")
    world.stores.put_route_set(encoded(DECLARED))
    with pytest.raises(TransitionRefusedError, match=r"unreadable \(version 1\): it is no route set"):
        world.in_force.rollback(ANNA)
    assert world.text == encoded(DECLARED)
    assert world.history == []


def test_a_rollback_mends_a_parameter_that_holds_no_route_set(world: World) -> None:
    before = world.text
    world.stores.put_route_set("{")
    with pytest.raises(TransitionRefusedError, match="is no route set"):
        world.in_force.route_set()
    made = world.in_force.rollback(ANNA)
    assert (made.before, made.after) == ("unreadable", "default@2026-11-01")
    assert world.text == before


def test_the_history_is_read_whole_and_newest_first(world: World) -> None:
    for number in range(1, 70):
        world.stores.put_route_set(encoded(version(f"2026-12-01.{number}")))
    history = world.in_force.history()
    assert [each.parameter_version for each in history] == list(range(70, 0, -1))
    assert history[0].policy_version == "default@2026-12-01.69"


def test_a_parameter_that_is_gone_is_not_activated_over(world: World) -> None:
    world.ssm.delete_parameter(Name=ROUTE_SET)
    with pytest.raises(ClientError, match="ParameterNotFound"):
        world.in_force.activate(encoded(version("2026-12-01")), ANNA)
    assert world.history == []
