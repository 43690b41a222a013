"""The OpenAI-compatible surface: chat completions and the list of models."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

import msgspec

from gateway.control.plane import ControlPlane
from gateway.failures import RefusalError
from gateway.model import BudgetTier, Intent
from gateway.pipeline import Access, Answer, Pipeline
from gateway.surfaces.chat_answer import chat_completion
from gateway.surfaces.chat_request import ROUTER_MODELS, ChatBody, decode_body, read_request, wants_usage
from gateway.surfaces.chat_stream import ChatChunks, stream_chat
from gateway.surfaces.invalid import invalid
from gateway.surfaces.messages import Endpoint, Incoming, Outgoing, Routes, Streaming, json_answer
from gateway.telemetry.record import RequestRecord

DOMAIN_HEADER = "x-domain"
BUDGET_TIER_HEADER = "x-budget-tier"
SLA_HEADER = "x-sla-ms"
REQUIRE_TOOLS_HEADER = "x-require-tools"

LONGEST_SLA_MS = 600_000
LONGEST_DOMAIN_NAME = 64

_decoder = msgspec.json.Decoder(ChatBody)


class WireModel(msgspec.Struct, frozen=True):
    """A model as OpenAI lists one."""

    id: str
    created: int
    owned_by: str
    object: str = "model"


class WireModels(msgspec.Struct, frozen=True):
    """OpenAI's list."""

    data: list[WireModel]
    object: str = "list"


class OpenAiSurface:
    """`POST /v1/chat/completions` and `GET /v1/models`. Routing hints come as headers: see `read_hints`."""

    def __init__(
        self, pipeline: Pipeline, control: ControlPlane, *, now_s: Callable[[], float] = time.time
    ) -> None:
        self._pipeline = pipeline
        self._control = control
        self._now_s = now_s

    def routes(self) -> Routes:
        """The paths of this surface."""
        return {
            "/v1/chat/completions": {"POST": Endpoint("chat", self.complete, Access.CLIENT)},
            "/v1/models": {"GET": Endpoint("models", self.models, Access.CLIENT)},
        }

    async def complete(self, incoming: Incoming) -> Outgoing | Streaming:
        """Answer a chat completion request, whole or as a stream."""
        chat = decode_body(incoming.body, _decoder)
        request = read_request(chat, incoming.record.request_id, read_hints(incoming.headers))
        if chat.stream:
            opening = asyncio.ensure_future(self._pipeline.open(request, incoming.record))
            created_s = int(self._now_s())
            chunks = ChatChunks(opening, request.id, created_s, include_usage=wants_usage(chat))
            return await stream_chat(chunks, incoming.record)
        answer = await self._pipeline.answer(request, incoming.record)
        body = chat_completion(answer, request.id, int(self._now_s()))
        return json_answer(body, headers=answer_headers(answer, incoming.record))

    async def models(self, incoming: Incoming) -> Outgoing:  # noqa: ARG002 - every handler takes the request
        """List the models a caller may name, and `auto`, which leaves the choice to the gateway."""
        route_set = self._control.route_set.value
        references = route_set.models if route_set is not None else ()
        listed = {name: "ai-gateway" for name in sorted(ROUTER_MODELS)}
        listed |= {each.key.partition("#")[2]: each.key.partition("#")[0] for each in references}
        return json_answer(WireModels([WireModel(name, 0, owner) for name, owner in listed.items()]))


def answer_headers(answer: Answer, record: RequestRecord) -> tuple[tuple[str, str], ...]:
    """Who answered, by which policy, in how many attempts and at which cost."""
    return (
        ("x-route-model", f"{answer.item.key}@{answer.item.version}"),
        ("x-route-policy", answer.decision.policy_version),
        ("x-route-attempts", str(len(record.attempts))),
        ("x-cost-eur-micro", str(answer.cost_eur_micro)),
    )


def read_hints(headers: Mapping[str, str]) -> Intent:
    """What the headers say about routing; a header that is absent leaves the default.

    Raises:
        RefusalError: `INVALID_REQUEST`, naming the header.
    """
    return Intent(
        domain=_domain(headers.get(DOMAIN_HEADER, "general")),
        budget_tier=_budget_tier(headers.get(BUDGET_TIER_HEADER, BudgetTier.STANDARD)),
        sla_ms=_sla_ms(headers.get(SLA_HEADER)),
        require_tools=_boolean(headers.get(REQUIRE_TOOLS_HEADER, "false"), REQUIRE_TOOLS_HEADER),
    )


def _domain(text: str) -> str:
    if not text:
        raise invalid(f"{DOMAIN_HEADER} is empty; give a domain or leave it out.", DOMAIN_HEADER)
    if len(text) > LONGEST_DOMAIN_NAME:
        raise invalid(f"{DOMAIN_HEADER} is longer than {LONGEST_DOMAIN_NAME} characters.", DOMAIN_HEADER)
    return text


def _budget_tier(text: str) -> BudgetTier:
    try:
        return BudgetTier(text)
    except ValueError:
        raise _wrong_header(BUDGET_TIER_HEADER, text, f"one of {', '.join(BudgetTier)}") from None


def _sla_ms(text: str | None) -> int | None:
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) < 10 and 0 < int(text) <= LONGEST_SLA_MS:
        return int(text)
    raise _wrong_header(SLA_HEADER, text, f"whole milliseconds from 1 to {LONGEST_SLA_MS}")


def _boolean(text: str, header: str) -> bool:
    if text in ("true", "false"):
        return text == "true"
    raise _wrong_header(header, text, "true or false")


def _wrong_header(header: str, text: str, expected: str) -> RefusalError:
    return invalid(f"Header {header} is {text[:40]!r}; give {expected}.", header)
