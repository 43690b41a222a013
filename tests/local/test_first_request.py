"""What `make up` prints last shows the decision and works as printed."""

from __future__ import annotations

from pathlib import Path

from local.cloud import Connection
from local.first_request import explanation, openai_snippet

CONNECTION = Connection("http://127.0.0.1:8080", "client-key", "admin-key")
PARTIALS = [
    {"name": name, "value": 0.5, "weight": 0.5, "contribution": 0.25}
    for name in ("latency", "cost", "domain", "tools")
]
ANSWER = {
    "request_id": "req_1",
    "decision": {
        "policy_version": "default@2026-11-01",
        "stage": "off",
        "domain": "legal",
        "budget_tier": "standard",
        "chosen": "bedrock#claude",
        "candidates": [{"key": "bedrock#claude", "score": 1.0, "partials": PARTIALS}],
        "excluded": [{"key": "llama#llama", "filter": "residency", "reason": "processed outside the EU"}],
    },
    "completion": {"model": "claude", "choices": [{"message": {"content": "It\ndepends."}}]},
}


def test_the_decision_is_told_with_every_partial_score_and_exclusion() -> None:
    text = explanation(ANSWER, CONNECTION, Path("/state/gateway.json"))
    assert "domain legal, tier standard, stage off, policy default@2026-11-01 → bedrock#claude" in text
    assert text.count("0.250") == len(PARTIALS)
    assert "processed outside the EU" in text
    assert "answer: It depends. (claude)" in text


def test_the_admin_key_is_not_shown() -> None:
    assert "admin-key" not in explanation(ANSWER, CONNECTION, Path("/state/gateway.json"))


def test_the_snippet_is_ten_lines_of_valid_python() -> None:
    lines = openai_snippet(".local/gateway.json")
    compile("\n".join(lines), "snippet", "exec")
    assert len(lines) <= 10
