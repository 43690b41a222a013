"""The simulated providers as one web application.

POST /model/{model}/converse                                        Bedrock
POST /model/{model}/converse-stream                                 the same, streamed
POST /v1/projects/…/publishers/google/models/{model}:generateContent  Vertex AI, also under /v1beta1
POST …:streamGenerateContent?alt=sse                                the same, streamed
POST /token                                                         Google's OAuth token endpoint
POST /llama/v1/chat/completions, GET /llama/v1/models                OpenAI-compatible
/v1/projects/…/serviceAccounts/…/keys                               see `key_administration`
/llama/v1/organization/projects/…/service_accounts                  see `key_administration`
/_control/…                                                         see `control`
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from urllib.parse import unquote

import msgspec
from aiohttp import web

from local.providers import control, credentials
from local.providers.authority import Authority
from local.providers.bedrock import Bedrock
from local.providers.behaviour import Behaviour, Behaviours, Fault, reply_of
from local.providers.exchange import Asked, KnownCredentials, Received, RefusalError, Wire
from local.providers.faults import send
from local.providers.google import Google
from local.providers.issued_keys import IssuedKeys
from local.providers.key_administration import GoogleIam, LlamaAdministration
from local.providers.llama import Llama, body_named
from local.providers.stream_events import streamed
from local.providers.streaming import send_stream

MAXIMUM_BODY_BYTES = 25 * 1024 * 1024
_REMEMBERED_REQUESTS = 500
_LARGEST_REMEMBERED_BODY = 64 * 1024
_TOKEN_LIFETIME_S = 3600
_SECRET = frozenset({"authorization", "x-amz-security-token", "x-goog-api-key"})


class Simulation:
    """The providers' shared state: how they behave, whom they know, what they received."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority
        self.behaviours = Behaviours()
        self.known = KnownCredentials()
        self.received: deque[dict[str, object]] = deque(maxlen=_REMEMBERED_REQUESTS)
        self.token_lifetime_s = _TOKEN_LIFETIME_S
        self.issued = {"google": IssuedKeys(), "llama": IssuedKeys()}
        self._google_wire = Google(self.issued["google"])
        self._llama_wire = Llama(self.issued["llama"])
        self._iam = GoogleIam(self.issued["google"])
        self._administration = LlamaAdministration(self.issued["llama"])

    def application(self) -> web.Application:
        """The web application that serves the providers and their control."""
        application = web.Application(client_max_size=MAXIMUM_BODY_BYTES)
        application.router.add_post("/model/{model}/converse", self._bedrock)
        application.router.add_post("/model/{model}/converse-stream", self._bedrock)
        for version in ("v1", "v1beta1"):
            application.router.add_post(
                f"/{version}/projects/{{project}}/locations/{{location}}/publishers/google/models/"
                "{model}:{method:generateContent|streamGenerateContent}",
                self._google,
            )
        application.router.add_post("/token", self._token)
        application.router.add_post("/llama/v1/chat/completions", self._llama)
        application.router.add_get("/llama/v1/models", self._llama_models)
        application.router.add_route(
            "*", "/v1/projects/{project}/serviceAccounts/{email}/keys{id:(/[^/]+)?}", self._google_iam
        )
        application.router.add_route(
            "*",
            "/llama/v1/organization/projects/{project}/service_accounts{id:(/[^/]+)?}",
            self._llama_administration,
        )
        control.add_routes(application, self.behaviours, self.received, self.learn, self.issued)
        return application

    def learn(self, known: KnownCredentials, token_lifetime_s: int | None) -> None:
        """Replace the registered secrets, and the lifetime of the access tokens issued from now on."""
        self.known = known
        self.token_lifetime_s = token_lifetime_s or _TOKEN_LIFETIME_S

    async def _bedrock(self, request: web.Request) -> web.StreamResponse:
        received = await _received(request)
        model = unquote(received.raw_path.split("/")[2])
        streams = received.raw_path.endswith("-stream")
        refused = await self._authority.refusal(received)
        return await self._serve(request, received, _BEDROCK, model, refused, streams=streams)

    async def _google(self, request: web.Request) -> web.StreamResponse:
        received = await _received(request)
        streams = request.match_info["method"] == "streamGenerateContent"
        refused = None
        if streams and request.query.get("alt") != "sse":
            refused = RefusalError(400, "only alt=sse is simulated")
        model = request.match_info["model"]
        return await self._serve(request, received, self._google_wire, model, refused, streams=streams)

    async def _llama(self, request: web.Request) -> web.StreamResponse:
        received = await _received(request)
        named = body_named(received.body)
        return await self._serve(
            request, received, self._llama_wire, named.model, streams=named.stream is True
        )

    async def _llama_models(self, request: web.Request) -> web.StreamResponse:
        """The cheapest call that a key can be tried with."""

        def listing(received: Received) -> dict[str, object]:
            self._llama_wire.authorise(received, self.known, time.time())
            return {"object": "list", "data": []}

        return await self._administer(request, "llama-models", self._llama_wire, listing)

    async def _google_iam(self, request: web.Request) -> web.StreamResponse:
        project, email = (request.match_info[name] for name in ("project", "email"))
        key_id = request.match_info["id"].removeprefix("/")

        def answer(received: Received) -> dict[str, object]:
            if key_id and request.method == "DELETE":
                return self._iam.delete(received, email, key_id)
            calls = {"POST": self._iam.create, "GET": self._iam.list}
            if key_id or request.method not in calls:
                raise RefusalError(404, "Method not found.")
            return calls[request.method](received, project, email)

        return await self._administer(request, "google-iam", self._google_wire, answer)

    async def _llama_administration(self, request: web.Request) -> web.StreamResponse:
        project = request.match_info["project"]
        key_id = request.match_info["id"].removeprefix("/")

        def answer(received: Received) -> dict[str, object]:
            if key_id and request.method == "DELETE":
                return self._administration.delete(received, self.known, project, key_id)
            if key_id or request.method not in ("POST", "GET"):
                raise RefusalError(404, "Unknown request URL.")
            if request.method == "POST":
                return self._administration.create(received, self.known, project)
            page = {name: request.query.get(name, "") for name in ("limit", "after")}
            return self._administration.list(received, self.known, project, **page)

        return await self._administer(request, "llama-administration", self._llama_wire, answer)

    async def _administer(
        self,
        request: web.Request,
        name: str,
        wire: Wire,
        answer: Callable[[Received], dict[str, object]],
    ) -> web.StreamResponse:
        """Answer a call about keys, in the wire format of the provider's errors."""
        received = await _received(request)
        behaviour = self.behaviours.take(name, "")
        if behaviour.latency_ms:
            await asyncio.sleep(behaviour.latency_ms / 1000)
        try:
            _raise_fault(behaviour)
            body, problem = answer(received), None
        except RefusalError as refused:
            problem = refused
        self._remember(received, name, "", problem)
        if problem is not None:
            written, headers = wire.write_error(problem.status, problem.code, problem.message)
            return await send(request, behaviour.fault, problem.status, headers, written)
        return await send(request, behaviour.fault, 200, {}, body)

    async def _token(self, request: web.Request) -> web.StreamResponse:
        received = await _received(request)
        behaviour = self.behaviours.take("google-token", "")
        if behaviour.latency_ms:
            await asyncio.sleep(behaviour.latency_ms / 1000)
        try:
            _raise_fault(behaviour)
            answer = credentials.exchange_assertion(
                received, self.known, time.time(), self.token_lifetime_s, self.issued["google"]
            )
        except RefusalError as refused:
            body: dict[str, object] = {"error": refused.code, "error_description": refused.message}
            return await send(request, behaviour.fault, refused.status, {}, body)
        return await send(request, behaviour.fault, 200, {}, answer)

    async def _serve(
        self,
        request: web.Request,
        received: Received,
        wire: Wire,
        model: str,
        refused: RefusalError | None = None,
        *,
        streams: bool = False,
    ) -> web.StreamResponse:
        behaviour = self.behaviours.take(wire.name, model)
        problem, asked = self._judge(received, wire, model)
        problem = problem or refused
        self._remember(received, wire.name, model, problem)
        if behaviour.latency_ms:
            await asyncio.sleep(behaviour.latency_ms / 1000)
        fault = behaviour.fault
        if fault is not None and fault.kind == "status":
            return await _send_status(request, fault, wire)
        if problem is not None or asked is None:
            problem = problem or RefusalError(500, "nothing was asked")
            body, headers = wire.write_error(problem.status, problem.code, problem.message)
            return await send(request, fault, problem.status, headers, body)
        whole = wire.write(asked, reply_of(behaviour, wire.name, asked))
        if not streams:
            return await send(request, fault, 200, {}, whole)
        error, _headers = wire.write_error(429, "", "simulated fault")
        return await send_stream(request, behaviour, wire.name, streamed(wire.name, whole), error)

    def _judge(self, received: Received, wire: Wire, model: str) -> tuple[RefusalError | None, Asked | None]:
        try:
            wire.authorise(received, self.known, time.time())
            _check_content_type(received)
            return None, wire.read(model, received.body)
        except RefusalError as refused:
            return refused, None

    def _key_id(self, received: Received, provider: str) -> str | None:
        issued = self.issued.get(provider)
        return None if issued is None else credentials.key_id_of(received, issued)

    def _remember(self, received: Received, provider: str, model: str, problem: RefusalError | None) -> None:
        small = len(received.body) <= _LARGEST_REMEMBERED_BODY
        self.received.append(
            {
                "at": time.time(),
                "provider": provider,
                "method": received.method,
                "model": model,
                "key": self._key_id(received, provider),
                "path": received.raw_path,
                "headers": {name: value for name, value in received.headers.items() if name not in _SECRET},
                "body": received.body.decode("utf-8", "replace") if small else None,
                "body_bytes": len(received.body),
                "problem": problem.message if problem is not None else None,
            }
        )


async def serve(
    port: int, *, host: str = "127.0.0.1", bedrock_authority: str | None = None
) -> tuple[web.AppRunner, int]:
    """Start the providers on loopback; returns the runner, to be cleaned up, and the port in use.

    `bedrock_authority` is the address of an emulated AWS that judges who may invoke which model.
    """
    authority = Authority(bedrock_authority)
    application = Simulation(authority).application()

    async def close(_: web.Application) -> None:
        await authority.close()

    application.on_cleanup.append(close)
    runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    return runner, int(runner.addresses[0][1])


def _check_content_type(received: Received) -> None:
    content_type = received.headers.get("content-type", "")
    if not content_type.startswith("application/json"):
        raise RefusalError(415, f"content type {content_type!r} is not application/json")


def _raise_fault(behaviour: Behaviour) -> None:
    fault = behaviour.fault
    if fault is not None and fault.kind == "status":
        raise RefusalError(fault.status, fault.message, code=fault.code)


async def _send_status(request: web.Request, fault: Fault, wire: Wire) -> web.StreamResponse:
    body, headers = wire.write_error(fault.status, fault.code, fault.message)
    headers = {**headers, **fault.headers}
    if fault.body is msgspec.UNSET:
        return await send(request, None, fault.status, headers, body)
    text = fault.body if isinstance(fault.body, str) else msgspec.json.encode(fault.body).decode()
    return web.Response(status=fault.status, headers=headers, text=text)


async def _received(request: web.Request) -> Received:
    return Received(
        method=request.method,
        url_origin=f"{request.scheme}://{request.host}",
        raw_path=request.raw_path,
        headers={name.lower(): value for name, value in request.headers.items()},
        body=await request.read(),
    )


_BEDROCK = Bedrock()
