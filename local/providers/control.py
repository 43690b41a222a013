"""The control interface of the simulated providers.

    GET    /_control                              all settings in force
    PUT    /_control/{provider}                   a `Behaviour` for bedrock, google, google-token or llama
    PUT    /_control/{provider}/models/{model}    one for a model, before its provider's
    DELETE /_control[/{provider}[/models/{model}]]
    GET    /_control/requests?provider=&model=    what was received, oldest first, at most 500
    DELETE /_control/requests
    PUT    /_control/credentials                  a `Registration`; `{}` accepts whatever has the right form

`google-token` is Google's OAuth token endpoint, which fails and dawdles on its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TypeVar

import msgspec
from aiohttp import web

from local.providers.behaviour import Behaviour, Behaviours
from local.providers.exchange import KnownCredentials

T = TypeVar("T")
PROVIDERS = ("bedrock", "google", "google-token", "llama")


class Registration(KnownCredentials, forbid_unknown_fields=True):
    """Secrets the providers shall know, and how long access tokens issued from now on live."""

    token_lifetime_s: int | None = None


def add_routes(
    application: web.Application,
    behaviours: Behaviours,
    received: deque[dict[str, object]],
    learn: Callable[[KnownCredentials, int | None], None],
) -> None:
    """Serve the control interface over this state."""

    async def show(_request: web.Request) -> web.Response:
        return _json(behaviours.listing())

    async def put(request: web.Request) -> web.Response:
        provider, model = _addressed(request)
        behaviours.put(provider, model, _body(await request.read(), Behaviour))
        return _json({"provider": provider, "model": model})

    async def clear(request: web.Request) -> web.Response:
        behaviours.clear(*_addressed(request)) if "provider" in request.match_info else behaviours.clear()
        return web.Response(status=204)

    async def show_requests(request: web.Request) -> web.Response:
        wanted = {key: request.query[key] for key in ("provider", "model") if request.query.get(key)}
        return _json([each for each in received if all(each[key] == value for key, value in wanted.items())])

    async def clear_requests(_request: web.Request) -> web.Response:
        received.clear()
        return web.Response(status=204)

    async def register(request: web.Request) -> web.Response:
        registration = _body(await request.read(), Registration)
        learn(registration, registration.token_lifetime_s)
        return web.Response(status=204)

    router = application.router
    router.add_get("/_control", show)
    router.add_delete("/_control", clear)
    router.add_get("/_control/requests", show_requests)
    router.add_delete("/_control/requests", clear_requests)
    router.add_put("/_control/credentials", register)
    for path in ("/_control/{provider}", "/_control/{provider}/models/{model:.+}"):
        router.add_put(path, put)
        router.add_delete(path, clear)


def _addressed(request: web.Request) -> tuple[str, str | None]:
    provider = request.match_info["provider"]
    if provider not in PROVIDERS:
        raise web.HTTPNotFound(text=f"{provider!r} is none of {', '.join(PROVIDERS)}\n")
    return provider, request.match_info.get("model")


def _body(encoded: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(encoded or b"{}", type=kind)
    except (msgspec.MsgspecError, ValueError) as error:
        raise web.HTTPBadRequest(text=f"{error}\n") from None


def _json(value: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")
