"""A caller's key that was just promoted opens the gateway; wrong ones cost the store next to nothing."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import threading
import time
from typing import Any

import pytest

from gateway.control import unknown_keys
from gateway.control.secrets import KeyRing
from gateway.control.snapshot import Loaded, Snapshot
from gateway.control.take_up import READ_EVERY_S
from gateway.control.unknown_keys import UnknownKeys
from gateway.failures import RefusalError
from gateway.pipeline import Access
from tests.gateway.running import Gateway
from tests.gateway.stores import ADMIN_KEY, CLIENT_KEY, Stores

NEW_KEY = "client-key-just-promoted"
GUESSES = 1_000
SLACK_S = 1.0
"""For a busy machine."""


@pytest.fixture
def looks(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When the store of the callers' keys was read."""
    snapshot: Any = gateway.application.control.client_keys
    moments: list[float] = []
    load = snapshot._load

    def counted(previous: object) -> object:
        moments.append(time.monotonic())
        return load(previous)

    monkeypatch.setattr(snapshot, "_load", counted)
    return moments


def hanging(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Let the store of the callers' keys hang, until the event is set."""
    released = threading.Event()

    def hang(previous: KeyRing) -> Loaded[KeyRing]:
        released.wait(20)
        return Loaded(previous)

    monkeypatch.setattr(gateway.application.control.client_keys, "_load", hang)
    return released


def workers() -> int:
    """How many threads the event loop has others work in."""
    return sum(each.name.startswith("asyncio_") for each in threading.enumerate())


async def models(gateway: Gateway, key: str) -> int:
    return (await gateway.call("GET", "/v1/models", key=key)).status


async def longest_pause_s(ended: asyncio.Event) -> float:
    """The longest time for which the event loop did nothing else."""
    longest = 0.0
    while not ended.is_set():
        before = time.monotonic()
        await asyncio.sleep(0.005)
        longest = max(longest, time.monotonic() - before)
    return longest


async def test_a_key_works_from_the_moment_of_its_promotion(
    gateway: Gateway, stores: Stores, looks: list[float]
) -> None:
    ended = asyncio.Event()
    statuses: list[int] = []

    async def ask(key: str) -> None:
        while not ended.is_set():
            statuses.append(await models(gateway, key))

    old = [asyncio.ensure_future(ask(CLIENT_KEY)) for _ in range(50)]
    await asyncio.sleep(0.2)
    assert not looks, "a known key made the store be read"
    stores.put_secret("client", {"current": NEW_KEY, "previous": CLIENT_KEY})
    new = [asyncio.ensure_future(ask(NEW_KEY)) for _ in range(50)]
    await asyncio.sleep(0.5)
    ended.set()
    await asyncio.gather(*old, *new)
    assert set(statuses) == {200}
    assert len(looks) == 1


async def test_an_administrators_key_works_from_the_moment_of_its_promotion(
    gateway: Gateway, stores: Stores
) -> None:
    stores.put_secret("admin", {"current": "admin-key-just-promoted", "previous": ADMIN_KEY})
    assert (await gateway.admin("models", key="admin-key-just-promoted")).status == 200
    assert (await gateway.admin("models", key=CLIENT_KEY)).status == 403


async def test_an_ended_key_ends_with_the_look_that_another_one_caused(
    gateway: Gateway, stores: Stores
) -> None:
    stores.put_secret("client", {"current": NEW_KEY, "previous": ""})
    assert await models(gateway, NEW_KEY) == 200
    assert await models(gateway, CLIENT_KEY) == 401


async def test_a_thousand_wrong_keys_cause_one_read_a_window_and_hold_nobody_up(
    gateway: Gateway, looks: list[float]
) -> None:
    ended = asyncio.Event()
    pausing = asyncio.ensure_future(longest_pause_s(ended))
    authenticate = gateway.application.http._pipeline.authenticate
    began_s = time.monotonic()

    async def guess(number: int) -> float:
        await asyncio.sleep(number / GUESSES)
        asked_s = time.monotonic()
        with pytest.raises(RefusalError, match=r"Incorrect API key provided\."):
            await authenticate(secrets.token_hex(16), Access.CLIENT)
        return time.monotonic() - asked_s

    took_s = await asyncio.gather(*map(guess, range(2 * GUESSES)))
    lasted_s = time.monotonic() - began_s
    ended.set()
    assert max(took_s) < 1 + SLACK_S
    assert len(looks) <= 1 + lasted_s / READ_EVERY_S
    assert all(after - before >= READ_EVERY_S * 0.9 for before, after in itertools.pairwise(looks))
    assert await pausing < 0.5


async def test_a_wrong_key_is_refused_in_time_where_the_store_hangs(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = hanging(gateway, monkeypatch)
    try:
        began_s = time.monotonic()
        wrong = [asyncio.ensure_future(models(gateway, secrets.token_hex(8))) for _ in range(50)]
        await asyncio.sleep(0.2)
        asked_s = time.monotonic()
        assert await models(gateway, CLIENT_KEY) == 200
        assert time.monotonic() - asked_s < 0.5, "a known key waited for the store"
        assert set(await asyncio.gather(*wrong)) == {401}
        assert time.monotonic() - began_s < 1 + SLACK_S
        waiting = workers()
        assert set(await asyncio.gather(*(models(gateway, secrets.token_hex(8)) for _ in range(20)))) == {401}
        assert workers() == waiting, "every wrong key takes a thread"
    finally:
        released.set()


async def test_more_than_so_many_do_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unknown_keys, "MOST_WAITING", 3)
    released = threading.Event()
    ring = KeyRing(("known",))

    def hang(_previous: KeyRing | None) -> Loaded[KeyRing]:
        released.wait(20)
        return Loaded(ring)

    keys: Snapshot[KeyRing] = Snapshot("client_keys", hang, interval_s=3600)
    keys.value = ring
    unknown = UnknownKeys(keys, longest_wait_s=0.5)

    async def refused_after_s() -> float:
        asked_s = time.monotonic()
        assert not await unknown.accepts_by_now("wrong", ring)
        return time.monotonic() - asked_s

    try:
        took_s = sorted(await asyncio.gather(*(refused_after_s() for _ in range(8))))
    finally:
        released.set()
    assert [each > 0.4 for each in took_s] == [False] * 5 + [True] * 3


async def test_a_look_that_began_before_the_promotion_is_not_the_last() -> None:
    old, new = KeyRing(("old",)), KeyRing(("new", "old"))
    promoted = threading.Event()

    def slow(_previous: KeyRing | None) -> Loaded[KeyRing]:
        found = new if promoted.is_set() else old
        time.sleep(0.1)
        return Loaded(found)

    keys: Snapshot[KeyRing] = Snapshot("client_keys", lambda _previous: Loaded(old), interval_s=3600)
    keys.refresh()
    keys._load = slow
    unknown = UnknownKeys(keys, read_every_s=0.2)
    wrong = asyncio.ensure_future(unknown.accepts_by_now("wrong", old))
    await asyncio.sleep(0.05)
    promoted.set()
    assert await unknown.accepts_by_now("new", old)
    assert not await wrong
