"""The provider secrets hold what an operator would have put there."""

from __future__ import annotations

import json
from typing import Any

from google.oauth2 import service_account

from local.outputs import deployed_stacks
from local.provider_secrets import secret_value
from local.providers.credentials import generated_service_account
from tests.local.embedded_cloud import RunningCloud


def test_a_simulated_google_key_is_one_that_googles_library_takes() -> None:
    key = generated_service_account("http://127.0.0.1:4580/token")
    read: Any = service_account.Credentials
    credentials = read.from_service_account_info(json.loads(json.dumps(key)))
    assert credentials.service_account_email == key["client_email"]
    assert credentials.sign_bytes(b"claims")


def test_every_simulated_key_is_its_own() -> None:
    keys = [generated_service_account("http://127.0.0.1/token")["private_key"] for _ in range(2)]
    assert keys[0] != keys[1]


def test_the_deployed_secrets_point_to_the_simulators(embedded_cloud: RunningCloud) -> None:
    outputs = deployed_stacks(embedded_cloud.account)["secrets"].outputs
    google = secret_value(embedded_cloud.account, outputs["GoogleSecretArn"])
    assert google["token_uri"] == f"http://127.0.0.1:{embedded_cloud.ports.providers}/token"
    assert secret_value(embedded_cloud.account, outputs["LlamaSecretArn"])["api_key"]
