"""The one path every request takes, whatever its surface.

authenticate → decide → call ⇄ fail over → settle cost → record → answer
"""

from __future__ import annotations

import asyncio
import enum
import time
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from gateway.answer_stream import AnswerStream, events_of
from gateway.call_sequence import CallSequence
from gateway.control.plane import ControlPlane
from gateway.control.registry import Provider, RegistryItem
from gateway.control.unknown_keys import UnknownKeys
from gateway.failures import Reason, RefusalError
from gateway.model import Completion, Request, StreamEvent, Usage
from gateway.model_call import ModelCall
from gateway.providers.adapter import Adapter, FailureKind, HttpRequest, HttpResponse, ProviderError
from gateway.providers.transport import OpenAnswer
from gateway.resilience.circuits import Circuits, Permit
from gateway.resilience.deadline import LONGEST_SILENCE_S, LONGEST_STREAM_S
from gateway.routing import router
from gateway.routing.decision import RouteDecision
from gateway.routing.eligibility import Situation, demand_of
from gateway.spending.meter import cost_eur_micro
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.record import RequestRecord


class Access(enum.StrEnum):
    """Whose key a call needs."""

    CLIENT = "client"
    ADMIN = "admin"


class Sender(Protocol):
    """What carries provider calls; `Transport` outside of tests."""

    async def send(self, request: HttpRequest, timeout_s: float) -> HttpResponse:
        """Send `request`; raises `ProviderError` where no answer comes within `timeout_s` seconds."""
        ...

    async def open(self, request: HttpRequest, *, first_byte_s: float, idle_s: float) -> OpenAnswer:
        """Send `request` and return when its answer begins; raises `ProviderError`."""
        ...


class OpenedAnswer(msgspec.Struct, frozen=True):
    """An answer that is on its way, and the registered model that gives it."""

    stream: AnswerStream
    item: RegistryItem
    decision: RouteDecision


class Answer(msgspec.Struct, frozen=True):
    """A completion, and the registered model that gave it."""

    completion: Completion
    item: RegistryItem
    decision: RouteDecision
    cost_eur_micro: int


class Pipeline:
    """Answers requests from the control plane's snapshots and the providers' adapters."""

    def __init__(
        self,
        *,
        control: ControlPlane,
        adapters: Mapping[Provider, Adapter],
        sender: Sender,
        metrics: Metrics,
        eu_only: bool,
        circuits: Circuits,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._control = control
        self._adapters = adapters
        self._sender = sender
        self._metrics = metrics
        self._eu_only = eu_only
        self._clock = clock
        self._circuits = circuits
        self._unknown_keys = {
            Access.CLIENT: UnknownKeys(control.client_keys),
            Access.ADMIN: UnknownKeys(control.admin_keys),
        }

    async def authenticate(self, presented_key: str | None, access: Access) -> None:
        """Let the holder of a key pass: at once, or where it is not known after a look at the store.

        Raises:
            RefusalError: `INVALID_API_KEY`, `PERMISSION_DENIED` for a client's key where an admin's is
                needed, or `NOT_READY` while the keys are not known yet.
        """
        clients = self._control.client_keys.value
        wanted = clients if access is Access.CLIENT else self._control.admin_keys.value
        if wanted is None:
            raise RefusalError(
                Reason.NOT_READY, "The gateway has no keys yet; try again shortly.", retry_after_s=1
            )
        if not presented_key:
            raise RefusalError(
                Reason.INVALID_API_KEY,
                "You did not provide an API key. Send it as a header: Authorization: Bearer YOUR_KEY.",
            )
        if wanted.accepts(presented_key):
            return
        if access is Access.ADMIN and clients is not None and clients.accepts(presented_key):
            raise RefusalError(
                Reason.PERMISSION_DENIED, "This API key may not administrate; use an admin key."
            )
        if not await self._unknown_keys[access].accepts_by_now(presented_key, wanted):
            raise RefusalError(Reason.INVALID_API_KEY, "Incorrect API key provided.")

    def decide(self, request: Request, record: RequestRecord) -> RouteDecision:
        """Decide which models may answer `request`, in which order; there is at least one.

        Raises:
            RefusalError: `NOT_READY`, `MODEL_NOT_FOUND`, or why no model may answer.
        """
        return self._decide(request, self._situation(), record)

    async def answer(self, request: Request, record: RequestRecord) -> Answer:
        """Answer `request` by the best candidate, or where that one fails by one of another provider.

        What happens on the way is noted in `record`, also when the request fails or is cancelled.

        Raises:
            RefusalError: no model may answer, or none did.
        """
        sequence = self._sequence(request, record)

        async def call(item: RegistryItem, permit: Permit, timeout_s: float) -> Completion:
            return await self._complete(self._model_call(item, record, permit), request, timeout_s)

        item, completion = await sequence.until_answered(call)
        cost = self._settle(item, completion.usage, record)
        self._count_as_evidence(record)
        return Answer(completion, item, sequence.decision, cost)

    async def open(self, request: Request, record: RequestRecord) -> OpenedAnswer:
        """Answer `request` as `answer` does, and return as soon as a model begins to speak.

        Until then others stand in for a model that fails; afterwards a failure ends the answer. Read the
        stream's events, or close them: the call of the model ends with them.

        Raises:
            RefusalError: no model may answer, or none did.
        """
        sequence = self._sequence(request, record)

        async def call(item: RegistryItem, permit: Permit, timeout_s: float) -> AnswerStream:
            return await self._begin(self._model_call(item, record, permit), request, timeout_s, record)

        item, stream = await sequence.until_answered(call)
        return OpenedAnswer(stream, item, sequence.decision)

    def _sequence(self, request: Request, record: RequestRecord) -> CallSequence:
        situation = self._situation()
        decision = self._decide(request, situation, record)
        return CallSequence(decision, situation, self._control, self._circuits, record, self._clock)

    def _decide(self, request: Request, situation: Situation, record: RequestRecord) -> RouteDecision:
        decision = router.decide(demand_of(request), situation)
        record.decision = decision
        self._metrics.decided(decision)
        if not decision.candidates:
            raise router.refusal_of(decision, situation)
        return decision

    def _situation(self) -> Situation:
        control = self._control
        registry, route_set = control.registry.value, control.route_set.value
        if registry is None or route_set is None:
            raise RefusalError(Reason.NOT_READY, "The gateway does not know its models yet.", retry_after_s=1)
        if not control.flags.known:
            what = "which providers were stopped"
            raise RefusalError(Reason.NOT_READY, f"The gateway does not know yet {what}.", retry_after_s=1)
        return Situation(
            registry=registry,
            route_set=route_set,
            flags=control.flags_in_force(),
            unconfigured=control.unconfigured(),
            eu_only=self._eu_only,
            paused=self._circuits.paused(self._clock()),
        )

    async def _complete(self, call: ModelCall, request: Request, timeout_s: float) -> Completion:
        item = call.item
        adapter = self._adapters[item.provider]
        try:
            wire = adapter.prepare(_within_limits(request, item), item.invocation_id)
            response = await self._sender.send(wire, timeout_s)
            call.status = response.status
            completion = adapter.parse(response, request)
        except BaseException as error:
            call.ended_by(error)
            raise
        call.answered()
        return completion

    async def _begin(
        self, call: ModelCall, request: Request, timeout_s: float, record: RequestRecord
    ) -> AnswerStream:
        item = call.item
        adapter = self._adapters[item.provider]
        opened: OpenAnswer | None = None
        try:
            wire = adapter.prepare_stream(_within_limits(request, item), item.invocation_id)
            async with asyncio.timeout(timeout_s):
                opened = await self._sender.open(wire, first_byte_s=timeout_s, idle_s=LONGEST_SILENCE_S)
                call.status = opened.status
                stream = AnswerStream(
                    call,
                    opened,
                    adapter.stream_decoder(request),
                    request,
                    said=await _said_at_once(adapter, opened, request),
                    settle=lambda usage, whole: self._settle_stream(item, usage, record, whole=whole),
                    ends_at_s=self._clock() + LONGEST_STREAM_S,
                    clock=self._clock,
                )
                await stream.begin()
        except BaseException as error:
            if opened is not None:
                opened.close()
            told = _overdue(timeout_s) if isinstance(error, TimeoutError) else error
            call.ended_by(told)
            raise told from None
        call.began_to_answer()
        return stream

    def _model_call(self, item: RegistryItem, record: RequestRecord, permit: Permit) -> ModelCall:
        return ModelCall(item, record, permit, metrics=self._metrics, clock=self._clock)

    def _settle(self, item: RegistryItem, usage: Usage, record: RequestRecord) -> int:
        record.usage = usage
        record.cost_eur_micro = cost_eur_micro(item.price, usage)
        self._metrics.settled(item, usage, record.cost_eur_micro)
        return record.cost_eur_micro

    def _settle_stream(self, item: RegistryItem, usage: Usage, record: RequestRecord, *, whole: bool) -> None:
        self._settle(item, usage, record)
        if whole:
            self._count_as_evidence(record)

    def _count_as_evidence(self, record: RequestRecord) -> None:
        flags = self._control.flags
        flags.evidence.answered(record.request_id, flags.value)


async def _said_at_once(adapter: Adapter, opened: OpenAnswer, request: Request) -> list[StreamEvent]:
    """What an answer that is no stream says: nothing where it is one.

    Raises:
        ProviderError: the provider refuses.
    """
    if opened.status == 200 and not opened.headers.get("content-type", "").startswith("application/json"):
        return []
    return events_of(adapter.parse(await opened.whole(), request))


def _overdue(timeout_s: float) -> ProviderError:
    return ProviderError(FailureKind.TIMEOUT, f"nothing was said within {timeout_s:g} s")


def _within_limits(request: Request, item: RegistryItem) -> Request:
    """`request`, asking for no more output than the model can give; providers refuse to be asked for more."""
    wanted = request.sampling.max_tokens
    if wanted is None or wanted <= item.maximum_output_tokens:
        return request
    sampling = msgspec.structs.replace(request.sampling, max_tokens=item.maximum_output_tokens)
    return msgspec.structs.replace(request, sampling=sampling)
