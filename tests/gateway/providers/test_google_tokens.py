"""Access tokens from a service-account key, judged by google-auth."""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
import logging
import time
from collections.abc import Callable
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import serialization
from google.auth import jwt

from gateway.providers.adapter import FailureKind, HttpRequest, HttpResponse, ProviderError
from gateway.providers.google_tokens import (
    GRANT_TYPE,
    SCOPE,
    GoogleTokens,
    assertion,
    parse_token,
    service_account,
    token_request,
)
from local.providers.credentials import generated_service_account

TOKEN_URI = "https://oauth2.googleapis.com/token"


@functools.cache
def key_file(name: str = "first") -> dict[str, str]:
    return generated_service_account(TOKEN_URI) | {"client_email": f"{name}@p.iam.gserviceaccount.com"}


def public_key(document: dict[str, str]) -> bytes:
    key = serialization.load_pem_private_key(document["private_key"].encode(), None).public_key()
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def answer(token: str, expires_in: float = 3600) -> HttpResponse:
    body = {"access_token": token, "expires_in": expires_in, "token_type": "Bearer"}
    return HttpResponse(200, {"content-type": "application/json"}, json.dumps(body).encode())


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000_000.0
        self.pauses: list[float] = []
        self.stop_after = 10**9

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now_s += seconds
        await asyncio.sleep(0)
        if len(self.pauses) >= self.stop_after:
            raise asyncio.CancelledError


class Endpoint:
    """Answers token requests in turn, and remembers them."""

    def __init__(self, *answers: HttpResponse | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[HttpRequest] = []
        self.times: list[float] = []
        self.clock = Clock()

    async def send(self, request: HttpRequest) -> HttpResponse:
        self.requests.append(request)
        self.times.append(self.clock.now_s)
        await asyncio.sleep(0)
        result = self.answers.pop(0)
        if isinstance(result, Exception):
            raise result
        return result


def tokens(endpoint: Endpoint, clock: Clock, source: Callable[[], dict[str, str]] = key_file) -> GoogleTokens:
    endpoint.clock = clock
    return GoogleTokens(source, endpoint.send, now_s=lambda: clock.now_s, pause=clock.pause)


class TestAssertion:
    def test_google_auth_accepts_it(self) -> None:
        document = key_file()
        now_s = time.time()
        signed = assertion(service_account(document), now_s)
        claims = jwt.decode(signed, certs=public_key(document), audience=TOKEN_URI)  # type: ignore[no-untyped-call]
        assert claims == {
            "iss": document["client_email"],
            "scope": SCOPE,
            "aud": TOKEN_URI,
            "iat": int(now_s),
            "exp": int(now_s) + 3600,
        }
        assert jwt.decode_header(signed)["kid"] == document["private_key_id"]  # type: ignore[no-untyped-call]

    def test_it_is_sent_as_a_form_to_the_token_uri(self) -> None:
        request = token_request(service_account(key_file()), 1000.0)
        assert (request.method, request.url) == ("POST", TOKEN_URI)
        assert request.headers == {"content-type": "application/x-www-form-urlencoded"}
        assert parse_qs(request.body.decode())["grant_type"] == [GRANT_TYPE]

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"client_email": None}, "client_email"),
            ({"private_key": 5}, "private_key"),
            ({"private_key": "-----BEGIN nonsense top-secret"}, "private_key"),
            ({"token_uri": "file:///etc/passwd"}, "token_uri"),
        ],
    )
    def test_an_unusable_key_file_is_refused_by_field_and_never_shown(
        self, change: dict[str, object], named: str
    ) -> None:
        with pytest.raises(ProviderError) as refused:
            token_request(service_account({**key_file(), **change}), 1000.0)
        assert refused.value.kind is FailureKind.AUTHENTICATION
        assert named in refused.value.message
        assert "top-secret" not in refused.value.message
        assert "PRIVATE KEY" not in repr(service_account(key_file()))


class TestAnswers:
    def test_the_token_expires_when_the_endpoint_says(self) -> None:
        token = parse_token(answer("ya29.x", 1800), now_s=100.0)
        assert (token.value, token.expires_at_s) == ("ya29.x", 1900.0)
        assert "ya29" not in repr(token)

    @pytest.mark.parametrize(
        ("response", "kind"),
        [
            (HttpResponse(400, {}, b'{"error": "invalid_grant"}'), FailureKind.AUTHENTICATION),
            (HttpResponse(401, {}, b'{"error": "invalid_client"}'), FailureKind.AUTHENTICATION),
            (HttpResponse(503, {}, b"busy"), FailureKind.OVERLOADED),
            (HttpResponse(200, {}, b"<html>"), FailureKind.PROTOCOL),
            (HttpResponse(200, {}, b'{"access_token": "a\\r\\nb"}'), FailureKind.PROTOCOL),
            (HttpResponse(200, {}, b'{"access_token": ""}'), FailureKind.PROTOCOL),
        ],
    )
    def test_everything_else_is_a_failure(self, response: HttpResponse, kind: FailureKind) -> None:
        with pytest.raises(ProviderError) as failed:
            parse_token(response, 0.0)
        assert failed.value.kind is kind


class TestRefreshing:
    async def test_a_token_is_kept_until_shortly_before_its_end(self) -> None:
        endpoint, clock = Endpoint(answer("one"), answer("two")), Clock()
        keeper = tokens(endpoint, clock)
        assert keeper.token() is None
        await keeper.refresh()
        assert keeper.token() == "one"
        clock.now_s += 3200
        await keeper.refresh()
        assert keeper.token() == "one"
        clock.now_s += 101
        await keeper.refresh()
        assert keeper.token() == "two"

    async def test_an_expired_token_is_not_handed_out(self) -> None:
        endpoint, clock = Endpoint(answer("one")), Clock()
        keeper = tokens(endpoint, clock)
        await keeper.refresh()
        clock.now_s += 3600
        assert keeper.token() is None

    async def test_concurrent_refreshes_share_one_exchange(self) -> None:
        endpoint, clock = Endpoint(answer("one")), Clock()
        keeper = tokens(endpoint, clock)
        await asyncio.gather(*(keeper.refresh() for _ in range(10)))
        assert len(endpoint.requests) == 1

    async def test_a_rotated_key_is_taken_up_at_once(self) -> None:
        endpoint, clock = Endpoint(answer("one"), answer("two")), Clock()
        current = [key_file("first")]
        keeper = tokens(endpoint, clock, lambda: current[0])
        await keeper.refresh()
        current[0] = key_file("second")
        await keeper.refresh()
        assert keeper.token() == "two"

    async def test_a_withdrawn_key_ends_the_token(self) -> None:
        endpoint, clock = Endpoint(answer("one")), Clock()
        current = [key_file()]
        keeper = tokens(endpoint, clock, lambda: current[0])
        await keeper.refresh()
        current[0] = {}
        await keeper.refresh()
        assert keeper.token() is None

    async def test_while_no_key_is_set_nothing_is_sent_or_reported(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        endpoint, clock = Endpoint(), Clock()
        clock.stop_after = 3
        with pytest.raises(asyncio.CancelledError):
            await tokens(endpoint, clock, dict).run()
        assert endpoint.requests == []
        assert caplog.records == []

    async def test_failures_are_retried_ever_more_slowly_and_the_old_token_stays(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        failures = [OSError("connection to secret-host refused")] * 4
        endpoint, clock = Endpoint(answer("one"), *failures, answer("two", 3600)), Clock()
        keeper = tokens(endpoint, clock)
        await keeper.refresh()
        clock.now_s += 3301
        clock.stop_after = 8
        with caplog.at_level(logging.WARNING), pytest.raises(asyncio.CancelledError):
            await keeper.run()
        assert keeper.token() == "two"
        waits = [after - before for before, after in itertools.pairwise(endpoint.times[1:])]
        assert [0.5 * 2**n <= wait <= 2**n for n, wait in enumerate(waits)] == [True] * 4
        assert len(caplog.records) == 4
        assert "secret-host" not in caplog.text
        assert "PRIVATE KEY" not in caplog.text

    async def test_the_endpoints_own_wish_to_wait_is_obeyed(self) -> None:
        busy = HttpResponse(503, {"retry-after": "17"}, b"")
        endpoint, clock = Endpoint(busy, answer("one")), Clock()
        clock.stop_after = 5
        keeper = tokens(endpoint, clock)
        with pytest.raises(asyncio.CancelledError):
            await keeper.run()
        assert endpoint.times[1] - endpoint.times[0] == 17.0
        assert keeper.token() == "one"

    async def test_a_corrected_key_is_tried_without_waiting_for_the_end_of_the_pause(self) -> None:
        refused = HttpResponse(400, {"retry-after": "60"}, b'{"error": "invalid_grant"}')
        endpoint, clock = Endpoint(refused, answer("one")), Clock()
        keeper = tokens(endpoint, clock, lambda: key_file("second" if clock.pauses else "first"))
        clock.stop_after = 2
        with pytest.raises(asyncio.CancelledError):
            await keeper.run()
        assert keeper.token() == "one"

    async def test_a_token_that_is_refused_is_exchanged_anew_once_whoever_asks(self) -> None:
        endpoint, clock = Endpoint(answer("one"), answer("two")), Clock()
        keeper = tokens(endpoint, clock)
        await keeper.refresh()
        await asyncio.gather(*(keeper.refresh(refused="one") for _ in range(10)))
        assert (keeper.token(), len(endpoint.requests)) == ("two", 2)

    @pytest.mark.parametrize(
        ("failure", "left"),
        [(OSError("down"), "one"), (HttpResponse(400, {}, b'{"error": "invalid_grant"}'), None)],
    )
    async def test_a_refused_token_stays_only_where_its_account_is_not_refused_as_well(
        self, failure: HttpResponse | Exception, left: str | None
    ) -> None:
        endpoint, clock = Endpoint(answer("one"), failure), Clock()
        keeper = tokens(endpoint, clock)
        await keeper.refresh()
        with pytest.raises(ProviderError):
            await keeper.refresh(refused="one")
        assert keeper.token() == left

    async def test_the_next_look_is_when_the_token_is_due_and_never_later_than_a_minute(self) -> None:
        endpoint, clock = Endpoint(answer("one", 330), answer("two", 30), answer("three", 3600)), Clock()
        clock.stop_after = 3
        with pytest.raises(asyncio.CancelledError):
            await tokens(endpoint, clock).run()
        assert clock.pauses == [30.0, 5.0, 60.0]
