"""The registry is changed with its record or not at all, whoever else changes it, whenever it breaks off."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws

from gateway.control.audit import Action, AuditTable, Author, Change, How, model_subject
from gateway.control.lifecycle import MOVES
from gateway.control.refusals import (
    ConflictError,
    TransitionRefusedError,
    UnknownVersionError,
    VersionConflictError,
)
from gateway.control.registry import Lifecycle
from gateway.control.registry_changes import Move, RegistryChanges
from gateway.control.registry_table import RegistryTable
from tests.gateway.stores import AUDIT_TABLE, TABLE, Stores, declared_models

ANNA = Author("anna", How.COMMAND, "it is time")
BERND = Author("bernd", How.ADMIN_API, "I was first")
DRAFT = msgspec.structs.replace(
    next(item for item in declared_models() if item.model == "claude-haiku-4-5"),
    version="2026-12-01",
    lifecycle=Lifecycle.DRAFT,
)
SUBJECT = model_subject(DRAFT.key, DRAFT.version)


class Registry:
    """The tables, and ways to break them."""

    def __init__(self) -> None:
        stores = Stores()
        stores.create_tables()
        self.client = stores.dynamodb
        self.audit = AuditTable(self.client, AUDIT_TABLE)
        self.table = RegistryTable(self.client, TABLE)
        self.changes = RegistryChanges(self.client, TABLE, self.audit)
        self.version = DRAFT.version

    def move(self, to: Lifecycle, author: Author = ANNA) -> Move:
        return self.changes.move(DRAFT.key, self.version, to, in_force=lambda: None, author=author)

    @property
    def subject(self) -> str:
        return model_subject(DRAFT.key, self.version)

    @property
    def lifecycle(self) -> Lifecycle | None:
        item = self.table.get(DRAFT.key, self.version)
        return item.lifecycle if item is not None else None

    @property
    def history(self) -> list[str]:
        chain = self.audit.chain(self.subject)
        assert chain.problems == ()
        return [f"{record.before}→{record.after} {record.who}" for record in chain.records]


Interference = Callable[[Registry, Callable[[], object]], None]


@pytest.fixture
def before_commit(monkeypatch: pytest.MonkeyPatch) -> Interference:
    """Lets somebody else do something between the judgement of the next change and its transaction."""

    def interfere(registry: Registry, other: Callable[[], object]) -> None:
        transact = registry.client.transact_write_items

        def overtaken(**arguments: Any) -> object:  # noqa: ANN401 - what boto3 takes
            monkeypatch.setattr(registry.client, "transact_write_items", transact)
            other()
            return transact(**arguments)

        monkeypatch.setattr(registry.client, "transact_write_items", overtaken)

    return interfere


def cancelled_by(registry: Registry, *codes: str) -> Exception:
    """What boto3 raises for a cancelled transaction."""
    response: Any = {
        "Error": {"Code": "TransactionCanceledException", "Message": "cancelled"},
        "CancellationReasons": [{"Code": code} for code in codes],
    }
    return registry.client.exceptions.TransactionCanceledException(response, "TransactWriteItems")


@pytest.fixture
def registry() -> Iterator[Registry]:
    with mock_aws():
        yield Registry()


def test_a_version_is_registered_with_its_record(registry: Registry) -> None:
    assert registry.changes.register(DRAFT, ANNA)
    assert registry.table.get(DRAFT.key, DRAFT.version) == DRAFT
    assert registry.history == ["→draft anna"]


def test_registering_it_again_changes_nothing_even_after_it_was_moved(registry: Registry) -> None:
    registry.changes.register(DRAFT, ANNA)
    assert not registry.changes.register(DRAFT, BERND)
    registry.move(Lifecycle.CANARY)
    assert not registry.changes.register(DRAFT, BERND)
    assert registry.lifecycle is Lifecycle.CANARY
    assert registry.history == ["→draft anna", "draft→canary anna"]


def test_a_version_that_exists_gets_no_other_content(registry: Registry) -> None:
    registry.changes.register(DRAFT, ANNA)
    with pytest.raises(VersionConflictError, match="exists with other content; put a new version"):
        registry.changes.register(msgspec.structs.replace(DRAFT, expected_latency_ms=1), ANNA)
    assert registry.table.get(DRAFT.key, DRAFT.version) == DRAFT
    assert registry.history == ["→draft anna"]


def test_a_move_changes_the_lifecycle_and_nothing_else(registry: Registry) -> None:
    registry.changes.register(DRAFT, ANNA)
    assert registry.move(Lifecycle.CANARY).before is Lifecycle.DRAFT
    expected = msgspec.structs.replace(DRAFT, lifecycle=Lifecycle.CANARY)
    assert registry.table.get(DRAFT.key, DRAFT.version) == expected
    (record,) = registry.audit.chain(SUBJECT).records[1:]
    assert (record.action, record.before, record.after, record.why) == (
        "promote", "draft", "canary", "it is time",
    )  # fmt: skip


def test_a_version_that_is_not_there_is_not_moved(registry: Registry) -> None:
    with pytest.raises(UnknownVersionError, match="is not registered"):
        registry.move(Lifecycle.CANARY)
    assert registry.history == []


def test_a_refused_move_leaves_no_trace(registry: Registry) -> None:
    registry.changes.register(DRAFT, ANNA)
    with pytest.raises(TransitionRefusedError):
        registry.move(Lifecycle.ACTIVE)
    assert registry.lifecycle is Lifecycle.DRAFT
    assert registry.history == ["→draft anna"]


def test_of_two_who_move_at_once_exactly_one_wins(registry: Registry, before_commit: Interference) -> None:
    registry.changes.register(DRAFT, ANNA)
    before_commit(registry, lambda: registry.move(Lifecycle.RETIRED, BERND))
    with pytest.raises(ConflictError, match="was draft and is being moved by somebody else"):
        registry.move(Lifecycle.CANARY)
    assert registry.lifecycle is Lifecycle.RETIRED
    assert registry.history == ["→draft anna", "draft→retired bernd"]


def test_of_two_who_make_the_same_move_one_is_told_so(
    registry: Registry, before_commit: Interference
) -> None:
    registry.changes.register(DRAFT, ANNA)
    before_commit(registry, lambda: registry.move(Lifecycle.CANARY, BERND))
    with pytest.raises(ConflictError):
        registry.move(Lifecycle.CANARY)
    assert registry.history == ["→draft anna", "draft→canary bernd"]


def test_of_two_who_register_at_once_one_does(registry: Registry, before_commit: Interference) -> None:
    before_commit(registry, lambda: registry.changes.register(DRAFT, BERND))
    assert not registry.changes.register(DRAFT, ANNA)
    assert registry.history == ["→draft bernd"]


def test_a_record_that_came_in_between_costs_another_attempt_only(
    registry: Registry, before_commit: Interference
) -> None:
    registry.changes.register(DRAFT, ANNA)
    note = Change(SUBJECT, Action.REFUSED, "draft", "draft", BERND)
    before_commit(registry, lambda: registry.audit.append(note))
    registry.move(Lifecycle.CANARY)
    assert registry.lifecycle is Lifecycle.CANARY
    assert registry.history == ["→draft anna", "draft→draft bernd", "draft→canary anna"]


@pytest.mark.parametrize("code", ["TransactionConflict", "ConditionalCheckFailed"])
def test_a_change_that_is_always_overtaken_gives_up(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    registry.changes.register(DRAFT, ANNA)
    asked: list[object] = []

    def cancelled(**arguments: object) -> None:
        asked.append(arguments)
        raise cancelled_by(registry, "None", code)

    monkeypatch.setattr(registry.client, "transact_write_items", cancelled)
    with pytest.raises(ConflictError):
        registry.move(Lifecycle.CANARY)
    with pytest.raises(ConflictError):
        registry.changes.register(msgspec.structs.replace(DRAFT, version="2026-12-02"), ANNA)
    assert len(asked) == 10


@pytest.mark.parametrize("code", ["ConditionalCheckFailed", "ThrottlingError"])
def test_a_move_that_was_lost_or_throttled_is_not_repeated(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    registry.changes.register(DRAFT, ANNA)
    asked: list[object] = []

    def cancelled(**arguments: object) -> None:
        asked.append(arguments)
        raise cancelled_by(registry, code, "None")

    monkeypatch.setattr(registry.client, "transact_write_items", cancelled)
    with pytest.raises((ConflictError, ClientError)):
        registry.move(Lifecycle.CANARY)
    assert len(asked) == 1


def test_a_change_whose_answer_is_lost_is_asked_for_again_with_the_same_token(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DynamoDB does what has the same token once. https://docs.aws.amazon.com/amazondynamodb/latest/\
APIReference/API_TransactWriteItems.html"""
    registry.changes.register(DRAFT, ANNA)
    transact, tokens = registry.client.transact_write_items, []

    def losing(**arguments: Any) -> object:  # noqa: ANN401 - what boto3 takes
        tokens.append(arguments["ClientRequestToken"])
        if len(tokens) == 1:
            raise ReadTimeoutError(endpoint_url="http://dynamodb")
        return transact(**arguments)

    monkeypatch.setattr(registry.client, "transact_write_items", losing)
    registry.move(Lifecycle.CANARY)
    registry.move(Lifecycle.ACTIVE)
    assert tokens[0] == tokens[1]
    assert tokens[2] != tokens[1]
    assert registry.history == ["→draft anna", "draft→canary anna", "canary→active anna"]


@pytest.mark.parametrize("call", ["get_item", "query", "transact_write_items"])
def test_a_store_that_cannot_be_reached_changes_nothing(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    registry.changes.register(DRAFT, ANNA)

    def unreachable(**_arguments: object) -> None:
        raise EndpointConnectionError(endpoint_url="http://dynamodb")

    with monkeypatch.context() as broken:
        broken.setattr(registry.client, call, unreachable)
        with pytest.raises(EndpointConnectionError):
            registry.move(Lifecycle.CANARY)
        with pytest.raises(EndpointConnectionError):
            registry.changes.register(msgspec.structs.replace(DRAFT, version="2026-12-02"), ANNA)
    assert registry.lifecycle is Lifecycle.DRAFT
    assert registry.history == ["→draft anna"]
    assert registry.table.get(DRAFT.key, "2026-12-02") is None


def test_an_item_that_is_unreadable_is_not_moved(registry: Registry) -> None:
    registry.client.put_item(
        TableName=TABLE,
        Item={
            "provider#model": {"S": DRAFT.key},
            "version": {"S": DRAFT.version},
            "lifecycle": {"S": "draft"},
        },
    )
    with pytest.raises(TransitionRefusedError, match="is unreadable"):
        registry.move(Lifecycle.CANARY)
    assert registry.history == []


def test_what_is_in_force_is_asked_for_only_to_retire(registry: Registry) -> None:
    registry.changes.register(DRAFT, ANNA)
    asked: list[None] = []

    def in_force() -> None:
        asked.append(None)

    for to in (Lifecycle.CANARY, Lifecycle.ACTIVE, Lifecycle.RETIRED):
        registry.changes.move(DRAFT.key, DRAFT.version, to, in_force=in_force, author=ANNA)
        assert bool(asked) is (to is Lifecycle.RETIRED)


STEPS = st.lists(
    st.tuples(st.sampled_from(Lifecycle), st.sampled_from(["alone", "overtaken", "lost", "down"])),
    max_size=6,
)


def test_random_moves_never_reach_a_forbidden_state_and_every_change_is_recorded() -> None:
    with mock_aws():
        registry = Registry()
        fresh = itertools.count()

        @settings(max_examples=12)
        @given(STEPS)
        def live(steps: list[tuple[Lifecycle, str]]) -> None:
            registry.version = f"2026-12-01.{next(fresh)}"
            registry.changes.register(msgspec.structs.replace(DRAFT, version=registry.version), ANNA)
            for to, accident in steps:
                before = registry.lifecycle
                assert before is not None
                recorded = len(registry.history)
                with contextlib.suppress(
                    TransitionRefusedError, ConflictError, EndpointConnectionError, ReadTimeoutError
                ):
                    _move_with_accident(registry, accident, to)
                after = registry.lifecycle
                assert after is before or after in MOVES[before]
                assert len(registry.history) == recorded + (after is not before)
            states = [record.after for record in registry.audit.chain(registry.subject).records]
            assert states[-1] == registry.lifecycle
            assert all(Lifecycle(to) in MOVES[Lifecycle(state)] for state, to in itertools.pairwise(states))

        live()


def _move_with_accident(registry: Registry, accident: str, to: Lifecycle) -> None:
    """Move while somebody retires the version first, an answer is lost for good, or the store is down."""
    transact = registry.client.transact_write_items

    def overtaken(**arguments: Any) -> object:  # noqa: ANN401 - what boto3 takes
        registry.client.transact_write_items = transact  # type: ignore[method-assign]
        with contextlib.suppress(TransitionRefusedError, ConflictError):
            registry.move(Lifecycle.RETIRED, BERND)
        return transact(**arguments)

    def lost(**arguments: Any) -> object:  # noqa: ANN401 - what boto3 takes
        transact(**arguments)
        raise ReadTimeoutError(endpoint_url="http://dynamodb")

    def down(**_arguments: object) -> object:
        raise EndpointConnectionError(endpoint_url="http://dynamodb")

    accidents: dict[str, Any] = {"overtaken": overtaken, "lost": lost, "down": down}
    registry.client.transact_write_items = accidents.get(accident, transact)  # type: ignore[method-assign]
    try:
        registry.move(to)
    finally:
        registry.client.transact_write_items = transact  # type: ignore[method-assign]
