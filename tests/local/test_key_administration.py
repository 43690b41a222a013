"""Where the simulated providers make and end keys: what was made works, what was ended does not."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from google.oauth2 import service_account

from local.providers.credentials import generated_service_account
from local.providers.issued_keys import MOST_KEYS
from local.providers.server import serve

EMAIL = "gateway@simulated.iam.gserviceaccount.com"
KEYS = f"/v1/projects/-/serviceAccounts/{EMAIL}/keys"
PROJECT = "/llama/v1/organization/projects/gateway/service_accounts"
ASKED = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
GENERATE = "/v1/projects/p/locations/eu/publishers/google/models/m:generateContent"
ADMINISTRATOR = "sk-admin-simulated"


class Providers:
    """The simulated providers and whoever calls them."""

    def __init__(self, base: str, client: aiohttp.ClientSession) -> None:
        self.base = base
        self._client = client

    async def ask(self, method: str, path: str, key: str = "", body: object = None) -> tuple[int, Any]:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        async with self._client.request(method, self.base + path, json=body, headers=headers) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else None

    async def token(self, document: dict[str, str]) -> str:
        """The token for an assertion that google-auth makes, or the code of the refusal."""
        credentials = service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
            document, scopes=["https://www.googleapis.com/auth/cloud-platform"]
        )
        assertion = credentials._make_authorization_grant_assertion()
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion.decode()}
        async with self._client.post(f"{self.base}/token", data=form) as answer:
            body = await answer.json()
            return str(body.get("access_token", body.get("error")))

    async def new_google_key(self, token: str) -> dict[str, str]:
        status, made = await self.ask("POST", KEYS, token, {})
        assert status == 200, made
        assert made["name"].startswith(f"projects/-/serviceAccounts/{EMAIL}/keys/")
        document: dict[str, str] = json.loads(base64.b64decode(made["privateKeyData"]))
        return document

    async def generates(self, token: str) -> int:
        contents = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
        return (await self.ask("POST", GENERATE, token, contents))[0]

    async def chats(self, key: str) -> int:
        return (await self.ask("POST", "/llama/v1/chat/completions", key, ASKED))[0]


@pytest.fixture
async def providers() -> AsyncIterator[Providers]:
    runner, port = await serve(0)
    async with aiohttp.ClientSession() as client:
        yield Providers(f"http://127.0.0.1:{port}", client)
    await runner.cleanup()


@pytest.fixture(scope="module")
def first_key() -> dict[str, str]:
    return generated_service_account("")


async def test_a_service_accounts_key_makes_its_successor_and_ends(
    providers: Providers, first_key: dict[str, str]
) -> None:
    token = await providers.token(first_key)
    second = await providers.new_google_key(token)
    own = await providers.token(second)
    _status, listed = await providers.ask("GET", KEYS, own)
    ids = [key["name"].rpartition("/")[2] for key in listed["keys"]]

    assert second["client_email"] == first_key["client_email"]
    assert second["token_uri"] == f"{providers.base}/token"
    assert ids == [first_key["private_key_id"], second["private_key_id"]]
    assert await providers.ask("DELETE", f"{KEYS}/{first_key['private_key_id']}", own) == (200, {})
    assert (await providers.ask("DELETE", f"{KEYS}/{first_key['private_key_id']}", own))[0] == 404
    assert await providers.token(first_key) == "invalid_grant"
    assert await providers.generates(await providers.token(second)) == 200


async def test_a_key_only_signs_as_itself(providers: Providers, first_key: dict[str, str]) -> None:
    second = await providers.new_google_key(await providers.token(first_key))

    assert await providers.token({**first_key, "private_key_id": second["private_key_id"]}) == "invalid_grant"


async def test_a_service_account_holds_ten_keys_at_most(
    providers: Providers, first_key: dict[str, str]
) -> None:
    token = await providers.token(first_key)
    for _ in range(MOST_KEYS - 1):
        await providers.new_google_key(token)

    status, refused = await providers.ask("POST", KEYS, token, {})

    assert (status, refused["error"]["status"]) == (400, "FAILED_PRECONDITION")


async def test_tokens_outlive_their_key_unless_a_rule_ends_them(
    providers: Providers, first_key: dict[str, str]
) -> None:
    old = await providers.token(first_key)
    new = await providers.token(await providers.new_google_key(old))
    await providers.ask("DELETE", f"{KEYS}/{first_key['private_key_id']}", new)

    assert await providers.generates(old) == 200
    await providers.ask("PUT", "/_control/keys/google", body={"end_tokens": True})
    assert (await providers.generates(old), await providers.generates(new)) == (401, 200)


async def test_a_rule_lets_no_google_key_work_but_the_newest(
    providers: Providers, first_key: dict[str, str]
) -> None:
    await providers.ask("PUT", "/_control/keys/google", body={"newest_only": True, "end_tokens": True})
    old = await providers.token(first_key)
    assert await providers.generates(old) == 200
    second = await providers.new_google_key(old)

    assert await providers.token(first_key) == "invalid_grant"
    assert await providers.generates(old) == 401
    assert await providers.generates(await providers.token(second)) == 200


async def test_an_administrator_makes_and_ends_the_endpoints_keys(providers: Providers) -> None:
    status, made = await providers.ask("POST", PROJECT, ADMINISTRATOR, {"name": "one"})
    key = made["api_key"]["value"]

    assert status == 200
    assert await providers.chats(key) == 200
    assert (await providers.ask("GET", "/llama/v1/models", key))[0] == 200
    _status, listed = await providers.ask("GET", PROJECT, ADMINISTRATOR)
    assert [(one["id"], one["name"]) for one in listed["data"]] == [(made["id"], "one")]
    assert key not in json.dumps(listed)
    assert (await providers.ask("DELETE", f"{PROJECT}/{made['id']}", ADMINISTRATOR))[0] == 200
    assert await providers.chats(key) == 401
    assert (await providers.ask("GET", "/llama/v1/models", key))[0] == 401


async def test_service_accounts_come_in_pages(providers: Providers) -> None:
    names = [f"account-{number}" for number in range(5)]
    for name in names:
        await providers.ask("POST", PROJECT, ADMINISTRATOR, {"name": name})
    found: list[str] = []
    query = "?limit=2"
    while query:
        _status, page = await providers.ask("GET", PROJECT + query, ADMINISTRATOR)
        found += [one["name"] for one in page["data"]]
        query = f"?limit=2&after={page['last_id']}" if page["has_more"] else ""

    assert found == names


async def test_a_key_that_calls_models_administers_nothing(providers: Providers) -> None:
    _status, made = await providers.ask("POST", PROJECT, ADMINISTRATOR, {"name": "one"})

    for key in (made["api_key"]["value"], ""):
        assert (await providers.ask("POST", PROJECT, key, {"name": "two"}))[0] == 401


async def test_a_rule_lets_no_endpoint_key_work_but_the_newest(providers: Providers) -> None:
    await providers.ask("PUT", "/_control/keys/llama", body={"newest_only": True})
    assert await providers.chats("made elsewhere") == 200
    _status, made = await providers.ask("POST", PROJECT, ADMINISTRATOR, {"name": "one"})

    assert await providers.chats("made elsewhere") == 401
    assert await providers.chats(made["api_key"]["value"]) == 200


@pytest.mark.parametrize("place", ["google-iam", "llama-administration"])
async def test_making_keys_fails_when_told_to(
    providers: Providers, first_key: dict[str, str], place: str
) -> None:
    fault = {"fault": {"kind": "status", "status": 503}, "times": 1}
    await providers.ask("PUT", f"/_control/{place}", body=fault)
    path, key = (
        (KEYS, await providers.token(first_key)) if place == "google-iam" else (PROJECT, ADMINISTRATOR)
    )

    assert [(await providers.ask("GET", path, key))[0] for _ in range(2)] == [503, 200]


async def test_what_is_remembered_of_keys_is_not_secret(
    providers: Providers, first_key: dict[str, str]
) -> None:
    document = await providers.new_google_key(await providers.token(first_key))
    _status, made = await providers.ask("POST", PROJECT, ADMINISTRATOR, {"name": "one"})
    _status, keys = await providers.ask("GET", "/_control/keys")
    _status, requests = await providers.ask("GET", "/_control/requests")
    text = json.dumps([keys, requests])

    assert document["private_key_id"] in text
    assert {"google-iam", "llama-administration"} <= {one["provider"] for one in requests}
    for secret in (document["private_key"], made["api_key"]["value"], ADMINISTRATOR):
        assert secret not in text
