"""A secret that was made for somewhere else is refused, and what it holds is repeated nowhere."""

from __future__ import annotations

import pytest

from gateway.control.registry import Provider
from gateway.control.secret_scope import Scope, refuse_foreign
from tests.gateway.running import Gateway
from tests.gateway.stores import ADMIN_KEY, CLIENT_KEY, Stores

HERE = Scope(environment="test", region="eu-central-1", provider="llama")


@pytest.mark.parametrize(
    "text",
    [
        '{"api_key": "k"}',
        '{"api_key": "k", "scope": {}}',
        '{"api_key": "k", "scope": {"environment": "test", "region": "eu-central-1", "provider": "llama"}}',
        '{"api_key": "k", "scope": {"provider": "llama", "team": "more than we know"}}',
    ],
)
def test_a_document_for_here_or_for_anywhere_is_taken(text: str) -> None:
    refuse_foreign(text, HERE)


@pytest.mark.parametrize(
    ("scope", "named"),
    [
        ('{"environment": "sensitive-name", "region": "eu-central-1"}', "environment"),
        ('{"region": "us-sensitive-1"}', "region"),
        ('{"provider": "sensitive"}', "provider"),
        ('{"provider": ""}', "provider"),
        ('{"provider": "Llama"}', "provider"),
        ('{"provider": 5}', "provider"),
        ('"sensitive"', "scope"),
        ("[]", "scope"),
    ],
)
def test_a_document_for_elsewhere_is_refused_by_member(scope: str, named: str) -> None:
    with pytest.raises(ValueError, match=named) as refused:
        refuse_foreign(f'{{"api_key": "sensitive-key", "scope": {scope}}}', HERE)
    assert "sensitive" not in str(refused.value)


async def test_the_last_good_credentials_stay_and_the_complaint_says_why(
    gateway: Gateway, stores: Stores, caplog: pytest.LogCaptureFixture
) -> None:
    foreign = {"environment": "production", "region": "eu-central-1"}
    stores.put_secret("llama", {"api_key": "foreign-key", "scope": {**foreign, "provider": "llama"}})
    stores.put_secret("client", {"current": "foreign-key", "scope": {**foreign, "provider": "gateway"}})
    gateway.refresh()
    take_up = gateway.application.control.credentials[Provider.LLAMA].take_up
    assert take_up.in_force() == "llama-key"
    assert (await gateway.call("GET", "/v1/models", key="foreign-key")).status == 401
    assert (await gateway.call("GET", "/v1/models", key=CLIENT_KEY)).status == 200
    complaints = (await gateway.call("GET", "/v1/admin/complaints", key=ADMIN_KEY)).json
    assert "environment" in str(complaints["llama_secret"])
    assert "environment" in str(complaints["client_keys"])
    assert "foreign-key" not in str(complaints) + caplog.text
