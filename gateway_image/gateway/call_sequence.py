"""The calls that one request makes until a model answers: whom to ask next, and when to give up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from gateway.control.plane import ControlPlane
from gateway.control.registry import Provider, RegistryItem
from gateway.failures import Reason, RefusalError
from gateway.model_call import judge
from gateway.providers.adapter import FailureKind, ProviderError
from gateway.resilience import failover
from gateway.resilience.circuits import Circuits, Permit
from gateway.resilience.deadline import SHORTEST_REMAINDER_S, call_timeout_s, request_timeout_s
from gateway.routing.decision import Candidate, RouteDecision
from gateway.routing.eligibility import Situation
from gateway.telemetry.record import RequestRecord

T = TypeVar("T")


class CallSequence(msgspec.Struct):
    """One request's way through the candidates of its decision."""

    decision: RouteDecision
    situation: Situation
    control: ControlPlane
    circuits: Circuits
    record: RequestRecord
    clock: Callable[[], float]
    ends_at_s: float = 0.0
    failures: list[failover.Failure] = msgspec.field(default_factory=list)

    async def until_answered(
        self, call: Callable[[RegistryItem, Permit, float], Awaitable[T]]
    ) -> tuple[RegistryItem, T]:
        """The first good result of `call`, which takes a model, its permit and the seconds it may use.

        Raises:
            RefusalError: no model answered.
        """
        self.ends_at_s = self.clock() + request_timeout_s(self.decision.sla_ms)
        errors: list[ProviderError] = []
        refused: set[Provider] = set()
        candidate = self._next()
        while candidate is not None:
            item = self.situation.registry[candidate.key, candidate.version]
            permit = self.circuits.acquire(item.provider, item.key, self.clock())
            if permit is None:  # it was renewed, but meanwhile another call has opened the circuit
                candidate = self._next(failover.Failure(candidate, FailureKind.AUTHENTICATION))
                continue
            timeout_s = min(call_timeout_s(self.decision.sla_ms), self.ends_at_s - self.clock())
            credential = self.control.credentials[item.provider].take_up.in_force()
            try:
                return item, await call(item, permit, timeout_s)
            except ProviderError as error:
                errors.append(error)
            failure = failover.Failure(candidate, errors[-1].kind)
            if failure.kind is FailureKind.AUTHENTICATION:
                first_time = item.provider not in refused
                refused.add(item.provider)
                alone = self._next(failure) is None
                if first_time and await self._renewed_or_abandoned(permit, item.provider, credential, alone):
                    permit.abandoned()
                    continue
                judge(permit, errors[-1], self.clock())
            self.failures.append(failure)
            candidate = self._next()
        self.record.problem = "; ".join(error.message for error in errors)
        raise failover.refusal_of(errors) if errors else self._nobody_left()

    async def _renewed_or_abandoned(
        self, permit: Permit, provider: Provider, refused: object, alone: bool
    ) -> bool:
        """As `_renewed`; a caller who leaves meanwhile says nothing of the provider."""
        try:
            return await self._renewed(provider, refused, patient=alone)
        except BaseException:
            permit.abandoned()
            raise

    async def _renewed(self, provider: Provider, refused: object, *, patient: bool) -> bool:
        """Whether `provider` may be asked once more, because another credential than `refused` is in force.

        That is no fallback, and does not count as one: it happens once for a request and a provider.
        """
        within_s = self.ends_at_s - self.clock() - SHORTEST_REMAINDER_S
        take_up = self.control.credentials[provider].take_up
        if not await take_up.has_another_than(refused, within_s=within_s, patient=patient):
            return False
        return not self.control.flags_in_force().kill_switch_on(provider)

    def _next(self, *just_failed: failover.Failure) -> Candidate | None:
        """Whom to ask now; switches and circuits are looked up anew, the decision may be minutes old."""
        if self.ends_at_s - self.clock() < SHORTEST_REMAINDER_S:
            return None
        flags, now_s = self.control.flags_in_force(), self.clock()
        permitted = [
            each
            for each in self.decision.candidates
            if not flags.kill_switch_on(each.provider)
            and self.circuits.admits(each.provider, each.key, now_s)
        ]
        failures = [*self.failures, *just_failed]
        if not failures:
            return permitted[0] if permitted else None
        return failover.next_candidate(permitted, failures)

    def _nobody_left(self) -> RefusalError:
        """A switch was pulled or a probe taken in the moment since the decision."""
        return RefusalError(
            Reason.PROVIDER_UNAVAILABLE, "No provider can answer the request at present.", retry_after_s=1
        )
