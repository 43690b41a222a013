"""The route set: everything about routing that operators change without a deploy.

It lives as JSON in one SSM parameter; `environments/route-sets/schema.json` is generated from `RouteSet`.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from gateway.control.registry import Version
from gateway.model import BudgetTier

MAXIMUM_ROUTE_SET_BYTES = 4096  # the size of a standard SSM parameter

UNNAMED_DOMAINS = ("", "general")
"""What a request's domain is where its caller names none."""

Share = Annotated[float, Meta(ge=0.0, le=1.0)]
ModelKey = Annotated[str, Meta(pattern=r"^(bedrock|google|llama)#[a-z0-9][a-z0-9._-]{0,63}$")]
RouteSetName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
DomainName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]


class ModelReference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One registered version, by its table keys."""

    key: ModelKey
    version: Version


class Domain(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How well each model serves a subject, 0..1.

    `fit` is keyed by family (`claude`) or, where one model differs from its family, by model
    (`claude-haiku-4-5`), which goes first. A model with neither fits 0, or, in a `closed` domain,
    is excluded.
    """

    fit: dict[str, Share]
    closed: bool = False

    def fit_of(self, model: str, family: str) -> float | None:
        """The declared fit of `model`, or None where neither it nor its family has one."""
        own = self.fit.get(model)
        return self.fit.get(family) if own is None else own


class Weights(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a tier values, as shares of 1 in the order in which they are summed."""

    latency: Share
    cost: Share
    domain: Share
    tools: Share

    def __post_init__(self) -> None:
        total = self.latency + self.cost + self.domain + self.tools
        if abs(total - 1.0) > 1e-9:
            raise ValueError(f"`weights` add up to {total:g}; make them add up to 1")


class Tier(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A budget tier: its weights, the latency it expects, and the price at which cost scores 0."""

    weights: Weights
    sla_ms: Annotated[int, Meta(ge=1, le=600_000)]
    cost_ceiling_micro_eur_per_thousand_tokens: Annotated[int, Meta(ge=1)]


class Tiers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every budget tier has its values: a request never meets an unknown one."""

    low: Tier
    standard: Tier
    premium: Tier

    def of(self, tier: BudgetTier) -> Tier:
        """The values of `tier`."""
        match tier:
            case BudgetTier.LOW:
                return self.low
            case BudgetTier.STANDARD:
                return self.standard
            case BudgetTier.PREMIUM:
                return self.premium


class RouteSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The models in use and how requests are spread over them.

    Raises `ValueError` where the default domain is unknown or a model is listed twice.
    """

    name: RouteSetName
    version: Version
    models: Annotated[tuple[ModelReference, ...], Meta(min_length=1, max_length=64)]
    domains: Annotated[dict[DomainName, Domain], Meta(min_length=1)]
    default_domain: DomainName
    tiers: Tiers

    def __post_init__(self) -> None:
        if self.default_domain not in self.domains:
            raise ValueError(
                f"`default_domain` {self.default_domain!r} is none of `domains` ({', '.join(self.domains)})"
            )
        keys = [reference.key for reference in self.models]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise ValueError(f"`models` lists {', '.join(twice)} more than once; keep one version of each")

    @property
    def policy_version(self) -> str:
        """Name and version, as decisions record them."""
        return f"{self.name}@{self.version}"

    def domain_named(self, name: str) -> tuple[str, Domain] | None:
        """The domain a request belongs to, whatever its letters' case and the space around it.

        A request that names none belongs to the default domain. One that names an unknown domain belongs to
        none: it may be a misspelt closed one.
        """
        known = name.strip().casefold()
        if known not in self.domains:
            if known not in UNNAMED_DOMAINS:
                return None
            known = self.default_domain
        return known, self.domains[known]


def parse_route_set(text: str) -> RouteSet:
    """Read the parameter's JSON.

    Raises:
        msgspec.DecodeError: the text is no JSON, or (its subclass `ValidationError`) no route set.
    """
    return msgspec.json.decode(text, type=RouteSet)
