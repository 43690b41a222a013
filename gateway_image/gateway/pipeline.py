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

from gateway.control.plane import ControlPlane
from gateway.control.registry import Provider, RegistryItem
from gateway.failures import Reason, RefusalError
from gateway.model import Completion, Request
from gateway.providers.adapter import Adapter, FailureKind, HttpRequest, HttpResponse, ProviderError
from gateway.resilience import failover
from gateway.resilience.deadline import SHORTEST_REMAINDER_S, call_timeout_s, request_timeout_s
from gateway.routing import router
from gateway.routing.decision import Candidate, RouteDecision
from gateway.routing.eligibility import Situation, demand_of
from gateway.spending.meter import cost_eur_micro
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.record import ANSWERED, BROKEN, CANCELLED, Attempt, RequestRecord


class Access(enum.StrEnum):
    """Whose key a call needs."""

    CLIENT = "client"
    ADMIN = "admin"


class Sender(Protocol):
    """What carries provider calls; `Transport` outside of tests."""

    async def send(self, request: HttpRequest, timeout_s: float) -> HttpResponse:
        """Send `request`; raises `ProviderError` where no answer comes within `timeout_s` seconds."""
        ...


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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._control = control
        self._adapters = adapters
        self._sender = sender
        self._metrics = metrics
        self._eu_only = eu_only
        self._clock = clock

    def authenticate(self, presented_key: str | None, access: Access) -> None:
        """Let the holder of a key pass.

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
        situation = self._situation()
        decision = self._decide(request, situation, record)
        ends_at_s = self._clock() + request_timeout_s(decision.sla_ms)
        errors: list[ProviderError] = []
        failures: list[failover.Failure] = []
        refused: set[Provider] = set()
        candidate: Candidate | None = decision.candidates[0]
        while candidate is not None:
            item = situation.registry[candidate.key, candidate.version]
            timeout_s = min(call_timeout_s(decision.sla_ms), ends_at_s - self._clock())
            credential = self._control.credentials[item.provider].take_up.in_force()
            try:
                completion = await self._call(item, request, timeout_s, record)
            except ProviderError as error:
                errors.append(error)
                failure = failover.Failure(candidate, error.kind)
            else:
                return self._settle(item, completion, decision, record)
            if failure.kind is FailureKind.AUTHENTICATION and item.provider not in refused:
                refused.add(item.provider)
                others = self._fallback(decision, [*failures, failure], ends_at_s)
                if await self._renewed(item.provider, credential, ends_at_s, patient=others is None):
                    continue
            failures.append(failure)
            candidate = self._fallback(decision, failures, ends_at_s)
        record.problem = "; ".join(error.message for error in errors)
        raise failover.refusal_of(errors)

    async def _renewed(self, provider: Provider, refused: object, ends_at_s: float, *, patient: bool) -> bool:
        """Whether `provider` may be asked once more, because another credential than `refused` is in force.

        That is no fallback, and does not count as one: it happens once for a request and a provider.
        """
        within_s = ends_at_s - self._clock() - SHORTEST_REMAINDER_S
        take_up = self._control.credentials[provider].take_up
        if not await take_up.has_another_than(refused, within_s=within_s, patient=patient):
            return False
        return not self._control.flags_in_force().kill_switch_on(provider)

    def _fallback(
        self, decision: RouteDecision, failures: list[failover.Failure], ends_at_s: float
    ) -> Candidate | None:
        if ends_at_s - self._clock() < SHORTEST_REMAINDER_S:
            return None
        flags = self._control.flags_in_force()  # not the decision's, which may be minutes old
        permitted = [each for each in decision.candidates if not flags.kill_switch_on(each.provider)]
        return failover.next_candidate(permitted, failures)

    def _decide(self, request: Request, situation: Situation, record: RequestRecord) -> RouteDecision:
        decision = router.decide(demand_of(request), situation)
        record.decision = decision
        self._metrics.decided(decision)
        if not decision.candidates:
            raise router.refusal_of(decision)
        return decision

    def _situation(self) -> Situation:
        control = self._control
        registry, route_set = control.registry.value, control.route_set.value
        if registry is None or route_set is None:
            raise RefusalError(Reason.NOT_READY, "The gateway does not know its models yet.", retry_after_s=1)
        return Situation(
            registry=registry,
            route_set=route_set,
            flags=control.flags_in_force(),
            unconfigured=control.unconfigured(),
            eu_only=self._eu_only,
        )

    async def _call(
        self, item: RegistryItem, request: Request, timeout_s: float, record: RequestRecord
    ) -> Completion:
        adapter = self._adapters[item.provider]
        started_s = self._clock()
        outcome: str = BROKEN
        status: int | None = None
        try:
            call = adapter.prepare(_within_limits(request, item), item.invocation_id)
            response = await self._sender.send(call, timeout_s)
            status = response.status
            completion = adapter.parse(response, request)
            outcome = ANSWERED
        except ProviderError as error:
            outcome, status = error.kind, error.status
            raise
        except asyncio.CancelledError:
            outcome = CANCELLED
            raise
        finally:
            duration_ms = round((self._clock() - started_s) * 1000, 3)
            attempt = Attempt(item.key, item.version, outcome, status, duration_ms)
            record.attempts.append(attempt)
            self._metrics.attempted(attempt)
        return completion

    def _settle(
        self, item: RegistryItem, completion: Completion, decision: RouteDecision, record: RequestRecord
    ) -> Answer:
        record.usage = completion.usage
        record.cost_eur_micro = cost_eur_micro(item.price, completion.usage)
        self._metrics.settled(item, completion.usage, record.cost_eur_micro)
        flags = self._control.flags
        flags.evidence.answered(record.request_id, flags.value)
        return Answer(completion, item, decision, record.cost_eur_micro)


def _within_limits(request: Request, item: RegistryItem) -> Request:
    """`request`, asking for no more output than the model can give; providers refuse to be asked for more."""
    wanted = request.sampling.max_tokens
    if wanted is None or wanted <= item.maximum_output_tokens:
        return request
    sampling = msgspec.structs.replace(request.sampling, max_tokens=item.maximum_output_tokens)
    return msgspec.structs.replace(request, sampling=sampling)
