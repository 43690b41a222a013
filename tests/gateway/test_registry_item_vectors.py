"""The gateway takes the items that the registry guard takes: both are held to the same vectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.control.registry import BEDROCK_VENDORS, RegistryItem

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "contracts/registry_items.json").read_text()
)


def read(changes: dict[str, object]) -> RegistryItem:
    return msgspec.convert({**VECTORS["item"], **changes}, RegistryItem)


@pytest.mark.parametrize("vector", VECTORS["accepted"], ids=lambda vector: str(vector["what"]))
def test_what_the_guard_accepts_is_accepted(vector: dict[str, Any]) -> None:
    read(vector["changes"])


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=lambda vector: str(vector["what"]))
def test_what_the_guard_refuses_is_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        read(vector["changes"])


def test_both_know_the_same_vendors() -> None:
    assert list(BEDROCK_VENDORS) == VECTORS["vendors"]
