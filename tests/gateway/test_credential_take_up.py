"""A credential that was rotated is taken up at the first refusal, and no request fails for it."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Coroutine

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.control.registry import Provider
from gateway.control.snapshot import Loaded
from gateway.control.take_up import LONGEST_WAIT_S, READ_EVERY_S, TakeUp
from tests.gateway.running import Gateway, Reply
from tests.gateway.stores import Stores, service_account_key
from tests.gateway.upstreams import Behaviour, Upstreams

LLAMA = "llama-3.3-70b-instruct"
GEMINI = "gemini-2.5-flash"
IN_FLIGHT = 200


def reads(gateway: Gateway, provider: Provider) -> int:
    return gateway.application.control.credentials[provider].snapshot.attempts


def account(stores: Stores, upstreams: Upstreams, key_id: str) -> None:
    stores.put_secret(
        "google",
        {
            "client_email": "gateway@test.iam.gserviceaccount.com",
            "private_key": service_account_key(),
            "private_key_id": key_id,
            "token_uri": f"{upstreams.url}/token",
        },
    )


async def asked_until_told(
    gateway: Gateway, model: str, told: asyncio.Event, callers: int = IN_FLIGHT
) -> list[Reply]:
    """Ask again and again with so many callers at a time; every one of them once more at the end."""

    async def ask() -> list[Reply]:
        replies = []
        is_last = False
        while not is_last:
            is_last = told.is_set()
            replies.append(await gateway.route(model=model))
        return replies

    return list(itertools.chain(*await asyncio.gather(*(ask() for _ in range(callers)))))


async def in_force_again(provider: Behaviour, since_s: float) -> float:
    """Seconds until the provider has answered with the key it wants now."""
    accepted = len(provider.requests) - provider.refused
    async with asyncio.timeout(10):
        while len(provider.requests) - provider.refused <= accepted:  # noqa: ASYNC110 - counts, not events
            await asyncio.sleep(0.001)
    return time.monotonic() - since_s


@pytest.mark.parametrize("store_is_behind_s", [0.0, 0.3])
async def test_no_request_in_flight_fails_where_the_old_key_ends_with_the_promotion(
    gateway: Gateway,
    stores: Stores,
    upstreams: Upstreams,
    store_is_behind_s: float,
) -> None:
    upstreams.llama.key = "llama-key"
    told = asyncio.Event()
    asking = asyncio.ensure_future(asked_until_told(gateway, LLAMA, told))
    await asyncio.sleep(0.3)
    before = reads(gateway, Provider.LLAMA)
    upstreams.llama.hold.clear()  # so that all of them are under way with the old key
    await asyncio.sleep(0.2)
    upstreams.llama.key = "second"
    if not store_is_behind_s:
        stores.put_secret("llama", {"api_key": "second"})
    promoted_s = time.monotonic()
    upstreams.llama.hold.set()
    if store_is_behind_s:
        await asyncio.sleep(store_is_behind_s)
        stores.put_secret("llama", {"api_key": "second"})
    taken_up_after_s = await in_force_again(upstreams.llama, promoted_s)
    told.set()
    replies = await asking
    assert {reply.status for reply in replies} == {200}
    assert len(replies) > IN_FLIGHT
    assert upstreams.llama.refused >= IN_FLIGHT / 2, "hardly a request met the rotation"
    assert upstreams.llama.refused <= IN_FLIGHT, "a request was refused more than once"
    assert reads(gateway, Provider.LLAMA) - before == (2 if store_is_behind_s else 1)
    print(f"taken up {taken_up_after_s * 1000:.0f} ms after the promotion")  # shown by pytest -s
    assert taken_up_after_s < READ_EVERY_S + 1


async def test_a_rotated_service_account_is_exchanged_once_for_all_who_were_refused(
    gateway: Gateway, stores: Stores, upstreams: Upstreams
) -> None:
    upstreams.google.key = "token-1"
    told = asyncio.Event()
    asking = asyncio.ensure_future(asked_until_told(gateway, GEMINI, told, callers=40))
    await asyncio.sleep(0.3)
    account(stores, upstreams, "2")
    upstreams.google.key = "token-2"
    await in_force_again(upstreams.google, time.monotonic())
    told.set()
    assert {reply.status for reply in await asking} == {200}
    assert upstreams.google.refused > 0
    assert upstreams.tokens_given == 2


async def test_a_refused_token_is_exchanged_anew_with_the_key_that_is_still_in_force(
    gateway: Gateway, upstreams: Upstreams
) -> None:
    upstreams.google.key = "token-2"
    replies = await asyncio.gather(*(gateway.route(model=GEMINI) for _ in range(20)))
    assert {reply.status for reply in replies} == {200}
    assert upstreams.tokens_given == 2


async def test_a_changed_key_is_exchanged_without_a_refusal(
    gateway: Gateway, stores: Stores, upstreams: Upstreams
) -> None:
    account(stores, upstreams, "2")
    gateway.refresh()
    async with asyncio.timeout(1):
        while upstreams.tokens_given < 2:  # noqa: ASYNC110 - counts, not events
            await asyncio.sleep(0.01)


async def test_the_second_call_is_an_attempt_of_its_own(
    gateway: Gateway, stores: Stores, upstreams: Upstreams
) -> None:
    upstreams.llama.key = "second"
    stores.put_secret("llama", {"api_key": "second"})
    reply = await gateway.route(model=LLAMA)
    attempts = reply.json["attempts"]
    assert isinstance(attempts, list)
    assert [each["outcome"] for each in attempts] == ["authentication", "answered"]
    assert reply.headers["x-route-attempts"] == "2"


async def test_a_successor_that_is_in_force_already_is_used_without_a_look(
    gateway: Gateway, stores: Stores, upstreams: Upstreams
) -> None:
    upstreams.llama.hold.clear()
    asking = asyncio.ensure_future(gateway.route(model=LLAMA))
    await upstreams.llama.asked.wait()
    upstreams.llama.key = "second"
    stores.put_secret("llama", {"api_key": "second"})
    gateway.refresh()
    before = reads(gateway, Provider.LLAMA)
    upstreams.llama.hold.set()
    assert (await asking).status == 200
    assert reads(gateway, Provider.LLAMA) == before


async def test_a_successor_that_is_refused_as_well_is_not_tried_a_second_time(
    gateway: Gateway, stores: Stores, upstreams: Upstreams
) -> None:
    upstreams.llama.key = "third"
    stores.put_secret("llama", {"api_key": "second"})
    assert (await gateway.route(model=LLAMA)).status == 503
    assert len(upstreams.llama.requests) == 2


async def test_a_wrong_key_costs_no_further_call_and_hardly_a_read(
    gateway: Gateway, upstreams: Upstreams
) -> None:
    upstreams.llama.key = "another"
    before, started_s = reads(gateway, Provider.LLAMA), time.monotonic()
    replies = await asyncio.gather(*(gateway.route(model=LLAMA) for _ in range(100)))
    took_s = time.monotonic() - started_s
    assert {reply.status for reply in replies} == {503}
    assert len(upstreams.llama.requests) == 100
    assert reads(gateway, Provider.LLAMA) - before <= 1 + took_s / READ_EVERY_S
    assert took_s < LONGEST_WAIT_S + 2
    started_s = time.monotonic()
    assert (await gateway.route(model=LLAMA)).status == 503
    assert time.monotonic() - started_s < READ_EVERY_S, "it is known by now that waiting is in vain"


async def test_another_provider_answers_at_once_where_the_key_is_wrong(
    gateway: Gateway, upstreams: Upstreams
) -> None:
    upstreams.google.key = "never"
    for _ in range(3):  # the first has its token exchanged, the others find that this was just done
        started_s = time.monotonic()
        reply = await gateway.route(domain="culinary")
        assert reply.status == 200
        assert time.monotonic() - started_s < 1
    assert upstreams.tokens_given == 2


async def test_a_store_that_hangs_keeps_nobody_from_another_provider(
    gateway: Gateway, upstreams: Upstreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_up = gateway.application.control.credentials[Provider.GOOGLE].take_up
    snapshot = gateway.application.control.credentials[Provider.GOOGLE].snapshot
    released = threading.Event()

    def hangs(previous: object) -> Loaded[object]:
        released.wait(10)
        return Loaded(previous)

    monkeypatch.setattr(snapshot, "_load", hangs)
    monkeypatch.setattr(take_up, "_longest_wait_s", 0.3)
    upstreams.google.key = "never"
    started_s = time.monotonic()
    replies = await asyncio.gather(*(gateway.route(domain="culinary") for _ in range(20)))
    released.set()
    assert {reply.status for reply in replies} == {200}
    assert 0.3 <= time.monotonic() - started_s < 2


async def test_a_provider_that_is_killed_meanwhile_is_not_asked_again(
    gateway: Gateway, stores: Stores, upstreams: Upstreams
) -> None:
    upstreams.llama.key = "second"
    upstreams.llama.hold.clear()
    asking = asyncio.ensure_future(gateway.route(model=LLAMA))
    await upstreams.llama.asked.wait()
    stores.put_secret("llama", {"api_key": "second"})
    stores.put_flag("kill-switch.llama", "on")
    gateway.application.control.flags.refresh_now("parameter")
    upstreams.llama.hold.set()
    assert (await asking).status == 503
    assert len(upstreams.llama.requests) == 1


WINDOW_S = 0.03


@settings(max_examples=15)
@given(
    st.lists(st.floats(0, 2.5 * WINDOW_S), min_size=1, max_size=30),
    st.floats(0, 2 * WINDOW_S),
    st.booleans(),
)
async def test_the_store_is_read_at_most_once_a_window_however_many_are_refused(
    refused_at_s: list[float], takes_s: float, patient: bool
) -> None:
    began_s: list[float] = []
    under_way = 0

    async def look() -> None:
        nonlocal under_way
        under_way += 1
        assert under_way == 1, "two look at the same time"
        await asyncio.sleep(takes_s)
        under_way -= 1

    def read(_refused: object) -> Coroutine[None, None, None]:
        began_s.append(time.monotonic())
        return look()

    take_up = TakeUp(lambda: "wrong", read, read_every_s=WINDOW_S, longest_wait_s=3 * WINDOW_S)

    async def refuse(after_s: float) -> bool:
        await asyncio.sleep(after_s)
        return await take_up.has_another_than("wrong", within_s=60, patient=patient)

    assert not any(await asyncio.gather(*map(refuse, refused_at_s)))
    assert began_s
    assert all(after - before >= WINDOW_S * 0.8 for before, after in itertools.pairwise(began_s))


async def test_a_request_without_time_left_looks_for_nothing() -> None:
    async def read(_refused: object) -> None:
        raise AssertionError("nobody may look")

    assert not await TakeUp(lambda: "wrong", read).has_another_than("wrong", within_s=0, patient=True)
