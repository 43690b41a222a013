"""What stores say against a change is told to operators in words that say what to do, and logged."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)

from gateway.control.refusals import ConflictError, NoStoreTookItError, TransitionRefusedError
from gateway.failures import Reason, RefusalError
from gateway.surfaces.admin_change import ask_stores
from gateway.surfaces.messages import Incoming
from gateway.telemetry.record import RequestRecord

ADDRESS = "http://internal-address"


def answered(status: int, code: str = "X", retries: int = 0) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": "internal words"},
        "ResponseMetadata": {"HTTPStatusCode": status, "RetryAttempts": retries},
    }
    return ClientError(response, "PutItem")


def incoming() -> Incoming:
    return Incoming({}, b"", RequestRecord("req_1"))


async def refusal_of(error: Exception) -> tuple[RefusalError, str]:
    record = RequestRecord("req_1")

    def work() -> None:
        raise error

    with pytest.raises(RefusalError) as refused:
        await ask_stores(Incoming({}, b"", record), work)
    assert record.problem is not None
    return refused.value, record.problem


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url=ADDRESS),
        ConnectTimeoutError(endpoint_url=ADDRESS),
        NoCredentialsError(),
        answered(400),
    ],
)
async def test_where_nothing_can_have_changed_that_is_said(error: Exception) -> None:
    refusal, logged = await refusal_of(error)
    assert refusal.reason is Reason.STORE_UNAVAILABLE
    assert "nothing was changed" in refusal.message
    assert ADDRESS not in refusal.message
    assert logged == str(error)


@pytest.mark.parametrize(
    "error",
    [
        ReadTimeoutError(endpoint_url=ADDRESS),
        answered(500),
        answered(503),
        answered(400, "TransactionInProgressException"),
        answered(400, "ThrottlingException", retries=1),  # the attempt before may have got through
        NoStoreTookItError(ADDRESS),
    ],
)
async def test_where_the_answer_is_lost_nothing_is_promised(error: Exception) -> None:
    refusal, logged = await refusal_of(error)
    assert refusal.reason is Reason.STORE_UNAVAILABLE
    assert "Look whether the change was made" in refusal.message
    assert "nothing was changed" not in refusal.message
    assert "internal" not in refusal.message
    assert logged == str(error)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TransitionRefusedError("not so"), Reason.TRANSITION_REFUSED),
        (ConflictError("not so"), Reason.CONFLICT),
    ],
)
async def test_a_refusal_is_told_and_logged_in_the_same_words(error: Exception, reason: Reason) -> None:
    refusal, logged = await refusal_of(error)
    assert refusal.reason is reason
    assert refusal.message == logged == "not so."


async def test_a_mistake_of_the_gateway_is_no_refusal() -> None:
    def work() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await ask_stores(incoming(), work)


async def test_stores_that_hang_hold_up_neither_what_is_urgent_nor_the_loops_own_threads() -> None:
    over = threading.Event()

    def hang() -> None:
        over.wait(20)

    hanging = [asyncio.ensure_future(ask_stores(incoming(), hang)) for _ in range(40)]
    await asyncio.sleep(0)  # each has asked for a thread now
    try:
        async with asyncio.timeout(5):
            assert await ask_stores(incoming(), lambda: "killed", urgent=True) == "killed"
            assert await asyncio.to_thread(lambda: "looked up") == "looked up"
        assert not any(each.done() for each in hanging)
    finally:
        over.set()
        await asyncio.gather(*hanging)
