"""What is known of one request when it ends: the material of its log line and its metrics, no bodies."""

from __future__ import annotations

import msgspec

from gateway.model import Usage
from gateway.routing.decision import RouteDecision

ANSWERED = "answered"
CANCELLED = "cancelled"
BROKEN = "broken"
"""The gateway itself failed; the log has the exception."""


class Attempt(msgspec.Struct, frozen=True):
    """One call of a model. `outcome` is `answered`, `cancelled`, `broken` or the kind of failure."""

    key: str
    version: str
    outcome: str
    provider_status: int | None
    duration_ms: float


class RequestRecord(msgspec.Struct):
    """Filled while the request is on its way, so that what is known survives a failure or a cancellation."""

    request_id: str
    decision: RouteDecision | None = None
    attempts: list[Attempt] = msgspec.field(default_factory=list)
    usage: Usage | None = None
    cost_eur_micro: int | None = None
    problem: str | None = None
    broken_off: bool = False
    """A streamed answer ended in an error after a part of it was sent."""
    events_passed_over: int = 0
    """Malformed events of the provider, which are left out of the answer."""

    def log_fields(self) -> dict[str, object]:
        """The record as fields of a log line."""
        fields: dict[str, object] = {"request_id": self.request_id}
        if self.problem is not None:
            fields["problem"] = self.problem
        if self.broken_off:
            fields["broken_off"] = True
        if self.events_passed_over:
            fields["events_passed_over"] = self.events_passed_over
        if self.decision is not None:
            fields["decision"] = _summary(self.decision)
        if self.attempts:
            fields["attempts"] = self.attempts
        if self.usage is not None:
            fields["usage"] = self.usage
            fields["cost_eur_micro"] = self.cost_eur_micro
        return fields


def _summary(decision: RouteDecision) -> dict[str, object]:
    return {
        "policy_version": decision.policy_version,
        "stage": decision.stage,
        "domain": decision.domain,
        "budget_tier": decision.budget_tier,
        "sla_ms": decision.sla_ms,
        "chosen": decision.chosen,
        "propensity": decision.propensity,
        "scores": {candidate.key: candidate.score for candidate in decision.candidates},
        "excluded": {each.key: each.filter for each in decision.excluded},
    }
