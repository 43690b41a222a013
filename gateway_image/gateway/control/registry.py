"""The items of the model registry: one per version of a model, immutable but for its lifecycle.

The JSON schema of an item (`environments/models/schema.json`) is generated from `RegistryItem`, so the
declared models, the admin surface and the table are held to one definition.
"""

from __future__ import annotations

import datetime
import enum
import re
from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

PARTITION_KEY = "provider#model"
SORT_KEY = "version"

Name = Annotated[
    str,
    Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$", description="Lower case letters, digits, dot, dash."),
]
Version = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(\.[0-9a-z]+)?$",
        description="ISO date with an optional suffix: 2026-11-01, 2026-11-01.2",
    ),
]
BEDROCK_VENDORS = (
    "ai21", "amazon", "anthropic", "cohere", "deepseek", "google", "luma", "meta", "minimax", "mistral",
    "moonshot", "moonshotai", "nvidia", "openai", "qwen", "stability", "twelvelabs", "writer", "zai",
)  # fmt: skip
"""What model ids begin with, https://docs.aws.amazon.com/bedrock/latest/userguide/models-supported.html"""

_BEDROCK_ID_WITHIN_THE_EU = re.compile(rf"(eu\.)?({'|'.join(BEDROCK_VENDORS)})\.[a-z0-9][a-z0-9.:_-]*")
"""A model of the region that is called, or an inference profile of the EU, which begins with `eu`.

What is not known to stay is taken to leave: https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html"""

Tokens = Annotated[int, Meta(ge=1, le=100_000_000)]
MicroPerMillionTokens = Annotated[
    int,
    Meta(
        ge=0,
        le=1_000_000_000_000,
        description="Millionths of the currency per million tokens, which is the same number as "
        "millionths of a millionth per token: 2.50 EUR per million tokens is 2500000.",
    ),
]


class Provider(enum.StrEnum):
    """Who is called."""

    BEDROCK = "bedrock"
    GOOGLE = "google"
    LLAMA = "llama"


class Family(enum.StrEnum):
    """Whose model it is; domain fit is declared per family."""

    CLAUDE = "claude"
    GEMINI = "gemini"
    LLAMA = "llama"


class Lifecycle(enum.StrEnum):
    """How far a version may be used: drafts and retired ones are never routed to."""

    DRAFT = "draft"
    CANARY = "canary"
    ACTIVE = "active"
    DEPRECATED = "deprecated"
    RETIRED = "retired"

    @property
    def routable(self) -> bool:
        """Whether requests may be sent to a version in this state."""
        return self not in (Lifecycle.DRAFT, Lifecycle.RETIRED)


class ToolSupport(enum.StrEnum):
    """How a model calls tools: by its own protocol, by instructions in the prompt, or not at all."""

    NATIVE = "native"
    PROMPT = "prompt"
    NONE = "none"


class Currency(enum.StrEnum):
    """Prices are kept in one currency, so that no exchange rate hides in a comparison."""

    EUR = "EUR"


class Capabilities(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a request may ask of the model."""

    tools: ToolSupport
    vision: bool
    json_schema: bool


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """List price, exact in integers; `as_of` says when it was looked up."""

    currency: Currency
    as_of: datetime.date
    input_micro_per_million_tokens: MicroPerMillionTokens
    output_micro_per_million_tokens: MicroPerMillionTokens
    cached_input_micro_per_million_tokens: MicroPerMillionTokens


class Residency(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether prompts stay in the EU, and whether the licence covers companies there."""

    eu_processing: bool
    eu_licence: bool


class RegistryItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One version of one model. Raises `ValueError` where fields contradict each other."""

    provider: Provider
    model: Name
    version: Version
    family: Family
    invocation_id: Annotated[
        str, Meta(min_length=1, max_length=256, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@-]*$")
    ]
    lifecycle: Lifecycle
    capabilities: Capabilities
    context_window_tokens: Tokens
    maximum_output_tokens: Tokens
    expected_latency_ms: Annotated[int, Meta(ge=1, le=600_000)]
    price: Price
    residency: Residency

    def __post_init__(self) -> None:
        for name in ("model", "version", "invocation_id"):
            if any(character.isspace() for character in getattr(self, name)):
                raise ValueError(f"`{name}` must not contain white space")
        try:
            datetime.date.fromisoformat(self.version[:10])
        except ValueError:
            raise ValueError(
                f"`version` {self.version!r} does not begin with a date of the calendar"
            ) from None
        if (
            self.residency.eu_processing
            and self.provider is Provider.BEDROCK
            and not _BEDROCK_ID_WITHIN_THE_EU.fullmatch(self.invocation_id)
        ):
            raise ValueError(
                f"`residency.eu_processing` is true, but `invocation_id` {self.invocation_id!r} is neither "
                "an inference profile of the EU nor a model of the gateway's own region; use "
                "eu.<vendor>.<model> or <vendor>.<model> in lower case, no ARN"
            )
        if self.maximum_output_tokens > self.context_window_tokens:
            raise ValueError(
                f"`maximum_output_tokens` {self.maximum_output_tokens} exceeds "
                f"`context_window_tokens` {self.context_window_tokens}"
            )

    @property
    def key(self) -> str:
        """The partition key, `<provider>#<model>`."""
        return f"{self.provider}#{self.model}"


RegistryView = Mapping[tuple[str, str], RegistryItem]
"""Every readable item by (`provider#model`, version)."""


def item_to_fields(item: RegistryItem) -> dict[str, object]:
    """The attributes of the stored item: nested maps, integers, dates as text."""
    encoded: dict[str, object] = msgspec.to_builtins(item)
    return {PARTITION_KEY: item.key, **encoded}


def item_from_fields(fields: Mapping[str, object]) -> RegistryItem:
    """Read what `item_to_fields` (or the registry stack) stored.

    Raises:
        msgspec.ValidationError: the fields are no `RegistryItem`, or sit under another item's key.
    """
    item = msgspec.convert({k: v for k, v in fields.items() if k != PARTITION_KEY}, RegistryItem)
    if fields.get(PARTITION_KEY) != item.key:
        raise msgspec.ValidationError(
            f"{item.key} is stored under {fields.get(PARTITION_KEY)!r}; put it again under its own key"
        )
    return item
