"""How soon a kill begins to write when everything around it hangs."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from operations.look_ups import LookUps, NoAnswerInTimeError
from tests.operations import conftest
from tests.operations.conftest import Stacks, Staging

WHY = ("--why", "errors since 03:10")
HANGS_S = 1.5
"""The clients' own patience is twice as long; longer than a second is enough here."""


@pytest.fixture
def first_write_after_s(staging: Staging, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., float]]:
    """Kill google with some services hanging: seconds from the command's begin to Parameter Store's call."""
    released = threading.Event()
    put: Any = staging.ssm.put_parameter

    def hang(*_: object, **__: object) -> object:
        released.wait(HANGS_S)
        raise ClientError({"Error": {"Code": "InternalError"}}, "Hung")

    def kill(*hanging: str) -> float:
        written_s: list[float] = []

        def put_parameter(**arguments: object) -> object:
            written_s.append(time.monotonic())
            return put(**arguments)

        monkeypatch.setattr(staging.ssm, "put_parameter", put_parameter)
        if "sts" in hanging:
            monkeypatch.setattr(conftest._client("sts"), "get_caller_identity", hang)
        if "cloudformation" in hanging:
            monkeypatch.setattr(Stacks, "describe_stacks", hang)
        if "dynamodb" in hanging:
            for call in ("query", "put_item", "get_paginator", "get_item"):
                monkeypatch.setattr(staging.dynamodb, call, hang)
        began_s = time.monotonic()
        staging.run("kill", "staging", "--provider", "google", *WHY)
        return written_s[0] - began_s

    yield kill
    released.set()


HANGING = [
    each for size in range(4) for each in itertools.combinations(("sts", "cloudformation", "dynamodb"), size)
]


@pytest.mark.parametrize("hanging", HANGING, ids=lambda each: "+".join(each) or "nothing")
def test_a_kill_begins_to_write_within_a_second_whatever_hangs(
    staging: Staging,
    first_write_after_s: Callable[..., float],
    hanging: tuple[str, ...],
) -> None:
    after_s = first_write_after_s(*hanging)
    print(f"hanging: {'+'.join(hanging) or 'nothing'}: written after {after_s:.2f} s")  # shown by pytest -s
    assert after_s < 1.0
    assert staging.flag("kill-switch.google") == "on"


def test_questions_are_asked_side_by_side_and_left_where_they_hang() -> None:
    released = threading.Event()
    look_ups = LookUps(0.3)
    hung = [look_ups.ask(lambda: released.wait(10)) for _ in range(3)]
    told = look_ups.ask(lambda: "told")
    for each in hung:
        with pytest.raises(NoAnswerInTimeError, match=r"no answer within 0\.3 s"):
            look_ups.take(each)
    assert look_ups.take(told) == "told"
    assert look_ups.elapsed_s < 0.6
    released.set()


def test_what_asking_raises_is_raised_by_taking() -> None:
    def fails() -> None:
        raise LookupError("nobody knows")

    look_ups = LookUps(1)
    with pytest.raises(LookupError, match="nobody knows"):
        look_ups.take(look_ups.ask(fails))
