from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from hypothesis import settings

from tests.gateway.running import Gateway, running_gateway, token_uri
from tests.gateway.stores import Stores, simulated_stores
from tests.gateway.upstreams import Upstreams, running_upstreams

# The same examples in every run, and no verdict that depends on what else the machine does.
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def test_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATESTGATEWAY00000")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")
    for name in ("AWS_ENDPOINT_URL", "AWS_BEARER_TOKEN_BEDROCK", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_upstreams() -> AsyncIterator[Upstreams]:
    async with running_upstreams() as upstreams:
        yield upstreams


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_gateway(shared_upstreams: Upstreams) -> AsyncIterator[Gateway]:
    """One gateway for all tests of a module that change nothing it keeps."""
    with simulated_stores(token_uri(shared_upstreams)) as stores:
        async with running_gateway(stores, shared_upstreams) as gateway:
            yield gateway


@pytest.fixture
async def upstreams() -> AsyncIterator[Upstreams]:
    async with running_upstreams() as upstreams:
        yield upstreams


@pytest.fixture
def stores(upstreams: Upstreams) -> Iterator[Stores]:
    with simulated_stores(token_uri(upstreams)) as stores:
        yield stores


@pytest.fixture
async def gateway(stores: Stores, upstreams: Upstreams) -> AsyncIterator[Gateway]:
    async with running_gateway(stores, upstreams) as gateway:
        yield gateway
