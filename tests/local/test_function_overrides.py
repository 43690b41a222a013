"""A function differs from its template in where keys are made and tested, and no further."""

from __future__ import annotations

import json
from typing import Any

from local.function_overrides import function_overrides
from local.ports import Ports

PORTS = Ports(emulator=1001, providers=1002, gateway=1003)
PROVIDERS = "http://127.0.0.1:1002"
DECLARED: dict[str, dict[str, Any]] = {
    "arn:keys": {"name": "client-keys", "kind": "generated_keys", "provider": "gateway", "overlap_s": 60},
    "arn:google": {
        "name": "google",
        "kind": "google_service_account",
        "iam_base_url": "https://iam.googleapis.com",
        "grace_s": 60,
    },
    "arn:llama": {
        "name": "llama",
        "administration_url": "https://llama.example/v1/organization/projects/x",
        "administration_secret": "arn:administrator",
        "test_url": "https://llama.example/v1/models",
    },
    "arn:administrator": {
        "name": "llama-administration",
        "test_url": "https://llama.example/v1/organization/projects/x/service_accounts",
    },
    "arn:by-hand": {"name": "other", "test_url": None},
}
DEFINED = {"ENVIRONMENT": "local", "ROTATED_SECRETS": json.dumps(DECLARED)}


def test_every_address_is_the_simulators() -> None:
    overrides = function_overrides(DEFINED, PORTS)
    project = f"{PROVIDERS}/llama/v1/organization/projects/local"

    assert overrides.keys() == {"ROTATED_SECRETS", "SIMULATED_PROVIDERS"}
    assert overrides["SIMULATED_PROVIDERS"] == "true"
    assert json.loads(overrides["ROTATED_SECRETS"]) == {
        "arn:keys": DECLARED["arn:keys"],
        "arn:google": {**DECLARED["arn:google"], "iam_base_url": PROVIDERS},
        "arn:llama": {
            **DECLARED["arn:llama"],
            "administration_url": project,
            "test_url": f"{PROVIDERS}/llama/v1/models",
        },
        "arn:administrator": {**DECLARED["arn:administrator"], "test_url": f"{project}/service_accounts"},
        "arn:by-hand": DECLARED["arn:by-hand"],
    }


def test_what_was_put_once_is_put_no_more() -> None:
    once = {**DEFINED, **function_overrides(DEFINED, PORTS)}

    assert {**once, **function_overrides(once, PORTS)} == once


def test_other_functions_stay_as_they_are() -> None:
    assert function_overrides({"ENVIRONMENT": "local"}, PORTS) == {}
