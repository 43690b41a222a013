"""The control interface of the simulated providers.

    GET    /_control                              all settings in force
    PUT    /_control/{provider}                   a `Behaviour` for one of `PROVIDERS`
    PUT    /_control/{provider}/models/{model}    one for a model, before its provider's
    DELETE /_control[/{provider}[/models/{model}]]
    GET    /_control/requests?provider=&model=    what was received, oldest first, at most 500
    DELETE /_control/requests
    PUT    /_control/credentials                  a `Registration`; `{}` accepts whatever has the right form
    GET    /_control/keys                         ids of the keys made by and ended at google and llama
    PUT    /_control/keys/{provider}              `Rules` for the keys of google or llama

`google-token` is Google's OAuth token endpoint, `llama-models` the list that a key is tried with,
`google-iam` and `llama-administration` are where keys are made; each fails and dawdles on its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec
from aiohttp import web

from local.providers.behaviour import Behaviour, Behaviours
from local.providers.exchange import KnownCredentials
from local.providers.issued_keys import IssuedKeys, Rules

T = TypeVar("T")
PROVIDERS = (
    "bedrock",
    "google",
    "google-token",
    "google-iam",
    "llama",
    "llama-models",
    "llama-administration",
)


class Registration(KnownCredentials, forbid_unknown_fields=True):
    """Secrets the providers shall know, and how long access tokens issued from now on live."""

    token_lifetime_s: int | None = None


def add_routes(
    application: web.Application,
    behaviours: Behaviours,
    received: deque[dict[str, object]],
    learn: Callable[[KnownCredentials, int | None], None],
    issued: Mapping[str, IssuedKeys],
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
    _add_key_routes(application, issued)
    for path in ("/_control/{provider}", "/_control/{provider}/models/{model:.+}"):
        router.add_put(path, put)
        router.add_delete(path, clear)


def _add_key_routes(application: web.Application, issued: Mapping[str, IssuedKeys]) -> None:
    async def show_keys(_request: web.Request) -> web.Response:
        return _json({provider: keys.listing() for provider, keys in issued.items()})

    async def rule_keys(request: web.Request) -> web.Response:
        provider = request.match_info["provider"]
        if provider not in issued:
            raise web.HTTPNotFound(text=f"{provider!r} is none of {', '.join(issued)}\n")
        issued[provider].rules = _body(await request.read(), Rules)
        return web.Response(status=204)

    application.router.add_get("/_control/keys", show_keys)
    application.router.add_put("/_control/keys/{provider}", rule_keys)


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
