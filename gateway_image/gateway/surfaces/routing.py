"""The surface that shows the routing: the decision with its reasons, and what has happened so far."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta

from gateway.control.plane import ControlPlane
from gateway.control.registry import Provider
from gateway.model import BudgetTier, Intent, Request
from gateway.pipeline import Access, Pipeline
from gateway.resilience.circuit import CircuitState
from gateway.resilience.circuits import Circuits
from gateway.routing.decision import RouteDecision
from gateway.surfaces.chat_answer import ChatCompletion, chat_completion
from gateway.surfaces.chat_request import ChatBody, decode_body, read_request, wants_usage
from gateway.surfaces.chat_stream import ChatChunks, stream_chat
from gateway.surfaces.messages import Endpoint, Incoming, Outgoing, Routes, Streaming, json_answer
from gateway.surfaces.openai import LONGEST_DOMAIN_NAME, LONGEST_SLA_MS, answer_headers
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.record import Attempt, RequestRecord


class RouteBody(ChatBody):
    """A chat request with what the caller asks of the routing. `dry_run` decides without calling anyone."""

    domain: Annotated[str, Meta(min_length=1, max_length=LONGEST_DOMAIN_NAME)] = "general"
    budget_tier: BudgetTier = BudgetTier.STANDARD
    sla_ms: Annotated[int, Meta(ge=1, le=LONGEST_SLA_MS)] | None = None
    require_tools: bool = False
    dry_run: bool = False


class RouteAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The decision, and unless it was a dry run who was called and what came of it."""

    request_id: str
    decision: RouteDecision
    attempts: list[Attempt] | None = None
    cost_eur_micro: int | None = None
    completion: ChatCompletion | None = None


class SnapshotStats(msgspec.Struct, frozen=True):
    """How fresh one store's snapshot is; `age_s` None before it was ever read.

    `complaints` counts what was wrong at the last refresh; `GET /v1/admin/complaints` says what it was.
    """

    age_s: float | None
    failures: int
    refused_values: int
    complaints: int


class Stats(msgspec.Struct, frozen=True):
    """What this replica has done and knows; counters start with the process."""

    uptime_s: float
    requests_by_status: dict[str, float]
    models: dict[str, dict[str, float]]
    policy_version: str | None
    registered_versions: int
    flags: dict[str, str]
    unconfigured_providers: dict[Provider, str]
    circuits: dict[str, CircuitState]
    snapshots: dict[str, SnapshotStats]


_decoder = msgspec.json.Decoder(RouteBody)


class RoutingSurface:
    """`POST /v1/route`, `GET /v1/stats`, and for administrators `GET /v1/admin/complaints`."""

    def __init__(
        self,
        pipeline: Pipeline,
        control: ControlPlane,
        metrics: Metrics,
        circuits: Circuits,
        *,
        clock: Callable[[], float] = time.monotonic,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._pipeline = pipeline
        self._control = control
        self._metrics = metrics
        self._circuits = circuits
        self._clock = clock
        self._now_s = now_s
        self._started_s = clock()

    def routes(self) -> Routes:
        """The paths of this surface."""
        return {
            "/v1/route": {"POST": Endpoint("route", self.route, Access.CLIENT)},
            "/v1/stats": {"GET": Endpoint("stats", self.stats, Access.CLIENT)},
            "/v1/admin/complaints": {"GET": Endpoint("complaints", self.complaints, Access.ADMIN)},
        }

    async def route(self, incoming: Incoming) -> Outgoing | Streaming:
        """Decide, and unless it is a dry run answer, whole or as a stream that begins with the decision."""
        body = decode_body(incoming.body, _decoder)
        record = incoming.record
        intent = Intent(
            domain=body.domain,
            budget_tier=body.budget_tier,
            sla_ms=body.sla_ms,
            require_tools=body.require_tools,
        )
        request = read_request(body, record.request_id, intent)
        if body.dry_run:
            return json_answer(RouteAnswer(record.request_id, self._pipeline.decide(request, record)))
        if body.stream:
            return await self._stream(request, body, record)
        answer = await self._pipeline.answer(request, record)
        told = RouteAnswer(
            request_id=record.request_id,
            decision=answer.decision,
            attempts=record.attempts,
            cost_eur_micro=answer.cost_eur_micro,
            completion=chat_completion(answer, request.id, int(self._now_s())),
        )
        return json_answer(told, headers=answer_headers(answer, record))

    async def _stream(self, request: Request, body: RouteBody, record: RequestRecord) -> Streaming:
        chunks = ChatChunks(
            asyncio.ensure_future(self._pipeline.open(request, record)),
            request.id,
            int(self._now_s()),
            include_usage=wants_usage(body),
            before=lambda opened: (
                b"event: decision\ndata: "
                + json_answer(RouteAnswer(request.id, opened.decision)).body
                + b"\n\n"
            ),
        )
        return await stream_chat(chunks, record)

    async def stats(self, incoming: Incoming) -> Outgoing:  # noqa: ARG002 - every handler takes the request
        """Tell what this replica has done and how fresh what it knows is."""
        control = self._control
        route_set, flags = control.route_set.value, control.flags_in_force()
        return json_answer(
            Stats(
                uptime_s=self._clock() - self._started_s,
                requests_by_status=self._metrics.requests_by_status(),
                models=self._metrics.per_model(),
                policy_version=route_set.policy_version if route_set is not None else None,
                registered_versions=len(control.registry.value or {}),
                flags=flags.texts(),
                unconfigured_providers=dict(control.unconfigured()),
                circuits=dict(self._circuits.states(self._clock())),
                snapshots={
                    each.name: SnapshotStats(
                        each.age_s, each.failures, each.refused_values, len(each.complaints)
                    )
                    for each in control.snapshots()
                },
            )
        )

    async def complaints(self, incoming: Incoming) -> Outgoing:  # noqa: ARG002 - every handler takes the request
        """Tell what was wrong with each store at its last refresh.

        The stores' own words name endpoints and parameters, which are no business of clients.
        """
        return json_answer({each.name: each.complaints for each in self._control.snapshots()})
