"""Every call to the outside passes here: it may be broken off, lose its answer, or be overtaken by others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar

from botocore.exceptions import ClientError, EndpointConnectionError

from tests.lambdas.rotation_world import CrashError

T = TypeVar("T")
Store: TypeAlias = Any
"""A simulated store; its calls are those of boto3's client, with who calls as `caller`."""
Answer: TypeAlias = Any

How = Literal["crash before", "crash after", "refused", "answer lost", "meanwhile"]
HOWS: tuple[How, ...] = ("crash before", "crash after", "refused", "answer lost", "meanwhile")


@dataclass(frozen=True)
class Trouble:
    """What happens at the `number`-th call of an operation; `meanwhile` another operation goes first."""

    number: int
    how: How


def internal_error() -> ClientError:
    told: Any = {
        "Error": {"Code": "InternalServerError", "Message": "of the test"},
        "ResponseMetadata": {"HTTPStatusCode": 500},
    }
    return ClientError(told, "CallOfTheTest")


class Gate:
    """One trouble at a time. `happened` counts them by kind."""

    def __init__(self) -> None:
        self.happened: Counter[str] = Counter()
        self.lost: set[tuple[str, str]] = set()
        self._trouble: Trouble | None = None
        self._meanwhile: Callable[[], None] | None = None
        self._calls = 0

    def plan(self, trouble: Trouble | None, meanwhile: Callable[[], None] | None = None) -> None:
        self._trouble, self._meanwhile, self._calls = trouble, meanwhile, 0

    def around(self, call: Callable[[], T], error: Callable[[], Exception] = internal_error) -> T:
        trouble = self._trouble
        if trouble is None:
            return call()
        self._calls += 1
        if self._calls != trouble.number:
            return call()
        self._trouble = None
        self.happened[trouble.how] += 1
        match trouble.how:
            case "crash before":
                raise CrashError
            case "refused":
                raise error()
            case "crash after":
                call()
                raise CrashError
            case "answer lost":
                call()
                raise error()
            case "meanwhile":
                if self._meanwhile is not None:
                    self._meanwhile()
                return call()

    def refuse_if_lost(self, caller: str, store: str) -> None:
        """
        Raises:
            EndpointConnectionError: `caller` does not reach `store`.
        """
        if (caller, store) in self.lost:
            self.happened["not reached"] += 1
            raise EndpointConnectionError(endpoint_url=f"https://{store}.example.com")


class Client:
    """A store as one caller reaches it."""

    def __init__(self, store: Store, name: str, caller: str, gate: Gate) -> None:
        self._store = store
        self._name = name
        self._caller = caller
        self._gate = gate

    def get_paginator(self, operation: str) -> _Paginator:
        return _Paginator(self, operation)

    def __getattr__(self, name: str) -> Answer:
        attribute = getattr(self._store, name)
        if name == "exceptions":
            return attribute

        def call(**arguments: object) -> Answer:
            self._gate.refuse_if_lost(self._caller, self._name)
            return self._gate.around(lambda: attribute(**arguments, caller=self._caller))

        return call


class _Paginator:
    def __init__(self, client: Client, operation: str) -> None:
        self._client = client
        self._operation = operation

    def paginate(self, *, PaginationConfig: object = None, **arguments: object) -> list[Any]:  # noqa: N803
        """Everything on one page."""
        del PaginationConfig
        return [getattr(self._client, self._operation)(**arguments)]
