"""What a routing decision says: who was ranked how, who was left out, and why."""

from __future__ import annotations

import enum

import msgspec

from gateway.control.flag_declarations import RolloutStage
from gateway.control.registry import Provider
from gateway.model import BudgetTier


class Filter(enum.StrEnum):
    """The hard filters, in the order in which they are asked; the first that excludes a model is named."""

    PINNED_MODEL = "pinned_model"
    UNREGISTERED = "unregistered"
    LIFECYCLE = "lifecycle"
    NOT_CONFIGURED = "not_configured"
    KILL_SWITCH = "kill_switch"
    CIRCUIT = "circuit"
    RESIDENCY = "residency"
    CLOSED_DOMAIN = "closed_domain"
    VISION = "vision"
    TOOLS = "tools"
    CONTEXT_WINDOW = "context_window"

    @property
    def operators_affair(self) -> bool:
        """True where the same request may find the model again without being changed."""
        return self in (Filter.UNREGISTERED, Filter.LIFECYCLE, Filter.NOT_CONFIGURED, Filter.KILL_SWITCH)

    @property
    def passes_by_itself(self) -> bool:
        """True where waiting is enough."""
        return self is Filter.CIRCUIT


class Partial(msgspec.Struct, frozen=True):
    """One criterion's part in a score: `contribution` is the product of `weight` and `value` (0..1)."""

    name: str
    value: float
    weight: float
    contribution: float


class Candidate(msgspec.Struct, frozen=True):
    """A model that may answer. `score` is the sum of the contributions, added from left to right."""

    key: str
    version: str
    provider: Provider
    model: str
    score: float
    partials: tuple[Partial, ...]


class Exclusion(msgspec.Struct, frozen=True):
    """A model of the route set that may not answer this request."""

    key: str
    version: str
    filter: Filter
    reason: str


class RouteDecision(msgspec.Struct, frozen=True):
    """A decision and everything it rests on.

    `candidates` are ranked, best first, and `chosen` is the key of the one that is called first (None where
    every model is excluded). `propensity` is the probability with which the policy makes this choice.
    `domain` is the route set's domain that served the requested one.
    """

    policy_version: str
    stage: RolloutStage
    requested_domain: str
    domain: str
    budget_tier: BudgetTier
    sla_ms: int
    estimated_input_tokens: int
    chosen: str | None
    propensity: float
    candidates: tuple[Candidate, ...]
    excluded: tuple[Exclusion, ...]
