"""The registry guard takes the items that the gateway takes: both are held to the same vectors."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lambdas.custom_resource import RefusedError
from lambdas.registry_guard.declaration import parse_declaration
from lambdas.registry_guard.item_rules import BEDROCK_VENDORS

PROJECT = Path(__file__).resolve().parents[2]
VECTORS: dict[str, Any] = json.loads((PROJECT / "tests/contracts/registry_items.json").read_text())


def declare(changes: dict[str, object]) -> None:
    item = {**VECTORS["item"], **changes}
    item["provider#model"] = f"{item['provider']}#{item['model']}"
    parse_declaration(
        {
            "TableName": "table",
            "AuditTable": "audit",
            "Items": json.dumps([item]),
            "RouteSet": "{}",
            "RouteSetParameter": "/route-sets/active",
            "EuOnly": "true",
        }
    )


@pytest.mark.parametrize("vector", VECTORS["accepted"], ids=lambda vector: str(vector["what"]))
def test_what_the_gateway_accepts_is_accepted(vector: dict[str, Any]) -> None:
    declare(vector["changes"])


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=lambda vector: str(vector["what"]))
def test_what_the_gateway_refuses_is_refused_and_named(vector: dict[str, Any]) -> None:
    with pytest.raises(RefusedError) as refused:
        declare(vector["changes"])
    (field,) = vector["changes"]
    assert field in str(refused.value)
    assert "make registry-check" in str(refused.value)


def test_both_know_the_same_vendors() -> None:
    assert list(BEDROCK_VENDORS) == VECTORS["vendors"]
    for vendor in BEDROCK_VENDORS:
        declare({"invocation_id": f"{vendor}.model-1"})


@pytest.mark.parametrize("target", ["synth", "diff", "deploy"])
def test_what_is_declared_is_judged_offline_before_anything_is_sent(target: str) -> None:
    words = ["make", "--dry-run", "--no-print-directory", target, "ENV=staging"]
    printed = subprocess.run(
        words, cwd=PROJECT, check=True, capture_output=True, text=True, timeout=60
    ).stdout
    lines = [line for line in printed.splitlines() if "operations" in line or "bin/cdk" in line]
    assert lines[0].endswith("registry-check")
    assert f"cdk {target}" in lines[1]
