"""The decision which model answers: hard filters, then a weighted score. Pure, and the same everywhere."""

from __future__ import annotations

import math

from gateway.control.registry import Price, RegistryItem, ToolSupport
from gateway.failures import Reason, RefusalError
from gateway.routing.decision import Candidate, Exclusion, Filter, Partial, RouteDecision
from gateway.routing.eligibility import (
    Demand,
    Situation,
    excluded_before_lookup,
    exclusion,
    names_model,
)
from gateway.routing.policy import Domain, ModelReference, RouteSet, Tier

TOOL_SCORES = {ToolSupport.NATIVE: 1.0, ToolSupport.PROMPT: 0.5, ToolSupport.NONE: 0.0}

INPUT_TOKENS_PER_OUTPUT_TOKEN = 3
"""The usual blend for comparing prices, e.g. https://artificialanalysis.ai/methodology."""


def decide(demand: Demand, situation: Situation) -> RouteDecision:
    """Rank the route set's models for `demand`.

    The first candidate is the choice at every rollout stage, because nothing is learned yet; its
    propensity is therefore 1. Ties go to the key that sorts first.

    Raises:
        RefusalError: `MODEL_NOT_FOUND` where the request asks for a model the route set does not have,
            `INVALID_REQUEST` where it names a domain the route set does not have.
    """
    route_set = situation.route_set
    intent = demand.intent
    if intent.model is not None and not any(names_model(each, intent.model) for each in route_set.models):
        raise _unknown_model(intent.model, route_set)
    named = route_set.domain_named(intent.domain)
    if named is None:
        raise _unknown_domain(intent.domain, route_set)
    domain_name, domain = named
    tier = route_set.tiers.of(intent.budget_tier)
    sla_ms = intent.sla_ms or tier.sla_ms
    candidates: list[Candidate] = []
    excluded: list[Exclusion] = []
    for reference in route_set.models:
        found = _look_up(reference, demand, situation)
        if isinstance(found, Exclusion):
            excluded.append(found)
            continue
        obstacle = exclusion(found, domain_name, domain, demand, situation)
        if obstacle is not None:
            excluded.append(Exclusion(found.key, found.version, *obstacle))
        else:
            candidates.append(_candidate(found, domain, tier, sla_ms))
    candidates.sort(key=lambda candidate: (-candidate.score, candidate.key))
    return RouteDecision(
        policy_version=route_set.policy_version,
        stage=situation.flags.rollout_stage,
        requested_domain=intent.domain,
        domain=domain_name,
        budget_tier=intent.budget_tier,
        sla_ms=sla_ms,
        estimated_input_tokens=demand.input_tokens,
        chosen=candidates[0].key if candidates else None,
        propensity=1.0,
        candidates=tuple(candidates),
        excluded=tuple(excluded),
    )


def refusal_of(decision: RouteDecision, situation: Situation) -> RefusalError:
    """Why a decision without candidates answers nothing, naming each model's filter.

    A request that is only too long is told so. One that may succeed unchanged by itself is
    `PROVIDER_UNAVAILABLE` and told when, one that needs an operator to act `NO_AVAILABLE_MODEL`, one that
    must be changed `NO_ELIGIBLE_MODEL`.
    """
    in_question = [each for each in decision.excluded if each.filter is not Filter.PINNED_MODEL]
    listed = "; ".join(f"{each.key}: {each.reason} ({each.filter})" for each in in_question)
    message = f"No model can answer this request. {listed}."
    if all(each.filter is Filter.CONTEXT_WINDOW for each in in_question):
        return RefusalError(Reason.CONTEXT_LENGTH_EXCEEDED, message, parameter="messages")
    waiting = [each for each in in_question if each.filter.passes_by_itself]
    if waiting:
        return RefusalError(
            Reason.PROVIDER_UNAVAILABLE, message, retry_after_s=_soonest_s(waiting, situation)
        )
    if any(each.filter.operators_affair for each in in_question):
        return RefusalError(Reason.NO_AVAILABLE_MODEL, message)
    return RefusalError(Reason.NO_ELIGIBLE_MODEL, message)


def _soonest_s(waiting: list[Exclusion], situation: Situation) -> float:
    """Whole seconds, at least one, until the first of them may be called again."""
    keys = [(situation.registry[each.key, each.version].provider, each.key) for each in waiting]
    return max(1.0, math.ceil(min(situation.pause_s(*key) or 0.0 for key in keys)))


def cost_per_thousand_tokens(price: Price) -> float:
    """Millionths of the currency for a thousand tokens, three of input to one of output."""
    blended = INPUT_TOKENS_PER_OUTPUT_TOKEN * price.input_micro_per_million_tokens
    blended += price.output_micro_per_million_tokens
    return blended / (1000 * (INPUT_TOKENS_PER_OUTPUT_TOKEN + 1))


def _look_up(reference: ModelReference, demand: Demand, situation: Situation) -> RegistryItem | Exclusion:
    obstacle = excluded_before_lookup(reference, demand)
    if obstacle is not None:
        return Exclusion(reference.key, reference.version, *obstacle)
    item = situation.registry.get((reference.key, reference.version))
    if item is None:
        reason = f"version {reference.version} is not in the registry"
        return Exclusion(reference.key, reference.version, Filter.UNREGISTERED, reason)
    return item


def _candidate(item: RegistryItem, domain: Domain, tier: Tier, sla_ms: int) -> Candidate:
    weights = tier.weights
    ceiling = tier.cost_ceiling_micro_eur_per_thousand_tokens
    partials = (
        _partial("latency", max(0.0, 1.0 - item.expected_latency_ms / sla_ms), weights.latency),
        _partial("cost", max(0.0, 1.0 - cost_per_thousand_tokens(item.price) / ceiling), weights.cost),
        _partial("domain", domain.fit_of(item.model, item.family) or 0.0, weights.domain),
        _partial("tools", TOOL_SCORES[item.capabilities.tools], weights.tools),
    )
    score = 0.0
    for partial in partials:  # not sum(): since Python 3.12 that compensates, and the last digit differs
        score += partial.contribution
    return Candidate(item.key, item.version, item.provider, item.model, score, partials)


def _partial(name: str, value: float, weight: float) -> Partial:
    return Partial(name, value, weight, weight * value)


def _unknown_model(model: str, route_set: RouteSet) -> RefusalError:
    names = sorted({reference.key.partition("#")[2] for reference in route_set.models})
    return RefusalError(
        Reason.MODEL_NOT_FOUND,
        f"The model {model[:100]!r} does not exist here. Ask for one of {', '.join(names)}, or for auto.",
        parameter="model",
    )


def _unknown_domain(domain: str, route_set: RouteSet) -> RefusalError:
    names = ", ".join(sorted(route_set.domains))
    return RefusalError(
        Reason.INVALID_REQUEST,
        f"The domain {domain[:100]!r} does not exist here. Name one of {names}, or none.",
        parameter="domain",
    )
