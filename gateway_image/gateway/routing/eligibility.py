"""The hard filters: what excludes a model whatever its score."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from gateway.control.flags import Flags
from gateway.control.registry import Provider, RegistryItem, RegistryView, ToolSupport
from gateway.model import Image, Intent, Request, Role
from gateway.providers.token_estimate import request_tokens
from gateway.routing.decision import Filter
from gateway.routing.policy import Domain, ModelReference, RouteSet

NOTHING_PAUSED: Mapping[str, float] = MappingProxyType({})


class Situation(msgspec.Struct, frozen=True):
    """What holds for every request at this moment.

    `unconfigured` names the providers that cannot be called, with the reason. `paused` has the seconds for
    which a provider or a model (by its key) is left alone, because its circuit is open. `eu_only` demands
    processing in the EU under a licence that covers companies there.
    """

    registry: RegistryView
    route_set: RouteSet
    flags: Flags
    unconfigured: Mapping[Provider, str]
    eu_only: bool
    paused: Mapping[str, float] = NOTHING_PAUSED

    def pause_s(self, provider: Provider, key: str) -> float | None:
        """Seconds until a model may be called again; None where it may be now."""
        if not self.paused:
            return None
        pauses = [self.paused[name] for name in (provider, key) if name in self.paused]
        return max(pauses, default=None)


class Demand(msgspec.Struct, frozen=True):
    """What of a request matters to routing. `maximum_output_tokens` is None where the caller set no limit."""

    intent: Intent
    uses_tools: bool
    shows_images: bool
    input_tokens: int
    maximum_output_tokens: int | None


def demand_of(request: Request) -> Demand:
    """Read off a request what routing must know; its input tokens are an estimate."""
    return Demand(
        intent=request.intent,
        uses_tools=bool(request.tools)
        or any(message.tool_calls or message.role is Role.TOOL for message in request.messages),
        shows_images=any(isinstance(part, Image) for message in request.messages for part in message.content),
        input_tokens=request_tokens(request),
        maximum_output_tokens=request.sampling.max_tokens,
    )


def names_model(reference: ModelReference, model: str) -> bool:
    """Whether a caller who asks for `model` means this one: by its name, or by its whole key."""
    return model in (reference.key, reference.key.partition("#")[2])


def excluded_before_lookup(reference: ModelReference, demand: Demand) -> tuple[Filter, str] | None:
    """The filter that needs no registry item."""
    pinned = demand.intent.model
    if pinned is not None and not names_model(reference, pinned):
        return Filter.PINNED_MODEL, f"the request asks for {pinned}"
    return None


def exclusion(
    item: RegistryItem, domain_name: str, domain: Domain, demand: Demand, situation: Situation
) -> tuple[Filter, str] | None:
    """The first filter that excludes `item`, with its reason, or None where it may answer."""
    return (
        _unavailable(item, situation)
        or _not_permitted(item, domain_name, domain, situation)
        or _not_capable(item, demand)
        or _too_small(item, demand)
    )


def _unavailable(item: RegistryItem, situation: Situation) -> tuple[Filter, str] | None:
    if not item.lifecycle.routable:
        return Filter.LIFECYCLE, f"version {item.version} is {item.lifecycle}"
    reason = situation.unconfigured.get(item.provider)
    if reason is not None:
        return Filter.NOT_CONFIGURED, reason
    switch = situation.flags.kill_switch_on(item.provider)
    if switch is not None:
        return Filter.KILL_SWITCH, f"{switch} is on"
    if situation.pause_s(item.provider, item.key) is not None:
        return Filter.CIRCUIT, "it failed just now and is tried again shortly"
    return None


def _not_permitted(
    item: RegistryItem, domain_name: str, domain: Domain, situation: Situation
) -> tuple[Filter, str] | None:
    if situation.eu_only and not item.residency.eu_processing:
        return Filter.RESIDENCY, "it is not processed in the EU"
    if situation.eu_only and not item.residency.eu_licence:
        return Filter.RESIDENCY, "its licence does not cover companies in the EU"
    if domain.closed and domain.fit_of(item.model, item.family) is None:
        return Filter.CLOSED_DOMAIN, f"domain {domain_name} is closed to family {item.family}"
    return None


def _not_capable(item: RegistryItem, demand: Demand) -> tuple[Filter, str] | None:
    tools = item.capabilities.tools
    if demand.shows_images and not item.capabilities.vision:
        return Filter.VISION, "it cannot see images"
    if demand.intent.require_tools and tools is not ToolSupport.NATIVE:
        return Filter.TOOLS, f"native tool calls are required, it has {tools}"
    if demand.uses_tools and tools is ToolSupport.NONE:
        return Filter.TOOLS, "it cannot call tools"
    return None


def _too_small(item: RegistryItem, demand: Demand) -> tuple[Filter, str] | None:
    output = min(demand.maximum_output_tokens or 1, item.maximum_output_tokens)
    if demand.input_tokens + output > item.context_window_tokens:
        return (
            Filter.CONTEXT_WINDOW,
            f"about {demand.input_tokens} input and {output} output tokens exceed its "
            f"{item.context_window_tokens}",
        )
    return None
