"""A registry item that contradicts itself is not accepted, from wherever it comes."""

from __future__ import annotations

import msgspec
import pytest

from gateway.control.registry import RegistryItem, item_from_fields, item_to_fields
from tests.gateway.stores import declared_models

CLAUDE = next(item for item in declared_models() if item.model == "claude-haiku-4-5")
FIELDS: dict[str, object] = msgspec.to_builtins(CLAUDE)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"provider": "azure"}, "provider"),
        ({"model": "Claude"}, "model"),
        ({"model": "claude\n"}, "`model` must not contain white space"),
        ({"version": "2026-11-01\n"}, "`version` must not contain white space"),
        ({"invocation_id": "eu.anthropic.x\n"}, "`invocation_id` must not contain white space"),
        ({"version": "2026-13-01"}, "version"),
        ({"version": "latest"}, "version"),
        ({"version": "\u0662026-11-01"}, "version"),
        ({"version": "2026-11-01.\u0662"}, "version"),
        ({"context_window_tokens": 0}, "context_window_tokens"),
        ({"maximum_output_tokens": 300_000}, "maximum_output_tokens"),
        ({"expected_latency_ms": -1}, "expected_latency_ms"),
        ({"price": {**msgspec.to_builtins(CLAUDE.price), "currency": "USD"}}, "price.currency"),
        (
            {"price": {**msgspec.to_builtins(CLAUDE.price), "input_micro_per_million_tokens": -1}},
            "price.input",
        ),
        ({"price": {"currency": "EUR"}}, "as_of"),
        ({"price": None}, "price"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_a_wrong_field_is_named(changes: dict[str, object], told: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=told):
        msgspec.convert({**FIELDS, **changes}, RegistryItem)


MODEL = "anthropic.claude-haiku-4-5-20251001-v1:0"


@pytest.mark.parametrize(
    "invocation_id",
    [
        *(
            f"{geography}.{MODEL}"
            for geography in ("global", "us", "US", "us-gov", "mx", "apac", "EU", "eus")
        ),
        f"eu.us.{MODEL}",
        f"eu.eu.{MODEL}",
        MODEL.upper(),
        "eu.",
        "eu.anthropic.",
        "unheard-of.model-v1:0",
        "abcdef123456",
        "eu.anthropic.claude/../us.anthropic.claude",
        f"arn:aws:bedrock:us-east-1:111111111111:inference-profile/us.{MODEL}",
        f"arn:aws:bedrock:us-east-1:111111111111:inference-profile/eu.{MODEL}",
        "arn:aws:bedrock:eu-central-1:111111111111:application-inference-profile/abcdef123456",
    ],
)
def test_what_is_not_known_to_stay_in_the_eu_cannot_be_registered_as_staying_there(
    invocation_id: str,
) -> None:
    with pytest.raises(msgspec.ValidationError, match="eu_processing"):
        msgspec.convert({**FIELDS, "invocation_id": invocation_id}, RegistryItem)
    elsewhere = {"eu_processing": False, "eu_licence": True}
    msgspec.convert({**FIELDS, "invocation_id": invocation_id, "residency": elsewhere}, RegistryItem)


@pytest.mark.parametrize(
    "invocation_id", [f"eu.{MODEL}", MODEL, "amazon.nova-pro-v1:0", "eu.meta.llama3-2-3b-instruct-v1:0"]
)
def test_models_of_the_region_and_profiles_of_the_eu_may_be_registered(invocation_id: str) -> None:
    assert (
        msgspec.convert({**FIELDS, "invocation_id": invocation_id}, RegistryItem).invocation_id
        == invocation_id
    )


def test_a_price_cannot_be_left_out() -> None:
    with pytest.raises(msgspec.ValidationError, match="price"):
        msgspec.convert({name: value for name, value in FIELDS.items() if name != "price"}, RegistryItem)


def test_an_item_under_another_items_key_is_refused() -> None:
    fields = {**item_to_fields(CLAUDE), "provider#model": "bedrock#claude-sonnet-4-5"}
    with pytest.raises(msgspec.ValidationError, match="put it again under its own key"):
        item_from_fields(fields)
