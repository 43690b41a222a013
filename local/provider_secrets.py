"""Sets what only an operator can set: the providers' credentials in Secrets Manager.

A simulated Google gets a service-account key like any other, whose token endpoint is the simulator;
a real provider gets the caller's own credentials.
"""

from __future__ import annotations

import json
from typing import Any

from local.aws import CLIENT_CONFIG, Account
from local.container_overrides import RealProviders
from local.outputs import DeployedStack
from local.ports import LOOPBACK, Ports
from local.providers.credentials import generated_service_account

_SIMULATED_LLAMA_KEY = {"api_key": "simulated-llama-key"}
_SIMULATED_ADMINISTRATOR = {"admin_key": "simulated-llama-administrator"}


def put_provider_secrets(
    account: Account, stacks: dict[str, DeployedStack], ports: Ports, real: RealProviders
) -> None:
    """Give each provider secret the value the gateway needs now.

    It stays where it has one that works: the simulator's, or what a rotation has made of it.
    """
    outputs = stacks["secrets"].outputs
    if "GoogleSecretArn" in outputs:
        _put(account, outputs["GoogleSecretArn"], _google(ports, real, account, outputs["GoogleSecretArn"]))
    if "LlamaSecretArn" in outputs:
        _put(account, outputs["LlamaSecretArn"], _llama(real, account, outputs["LlamaSecretArn"]))
    if "LlamaAdministrationSecretArn" in outputs:
        _put(account, outputs["LlamaAdministrationSecretArn"], _SIMULATED_ADMINISTRATOR)


def secret_value(account: Account, arn: str) -> dict[str, Any]:
    """The current value of a secret, which holds one JSON object."""
    client = account.session().client(
        "secretsmanager", endpoint_url=account.endpoint_url, config=CLIENT_CONFIG
    )
    return dict(json.loads(client.get_secret_value(SecretId=arn)["SecretString"]))


def _put(account: Account, arn: str, value: dict[str, Any]) -> None:
    if secret_value(account, arn) == value:
        return
    client = account.session().client(
        "secretsmanager", endpoint_url=account.endpoint_url, config=CLIENT_CONFIG
    )
    client.put_secret_value(SecretId=arn, SecretString=json.dumps(value))


def _google(ports: Ports, real: RealProviders, account: Account, arn: str) -> dict[str, Any]:
    if real.google_key_file:
        return dict(json.loads(real.google_key_file.read_text(encoding="utf-8")))
    token_uri = f"http://{LOOPBACK}:{ports.providers}/token"
    current = secret_value(account, arn)
    return current if current.get("token_uri") == token_uri else generated_service_account(token_uri)


def _llama(real: RealProviders, account: Account, arn: str) -> dict[str, Any]:
    if real.llama_key:
        return {"api_key": real.llama_key}
    current = secret_value(account, arn)
    made_by_a_rotation = "key_id" in current
    return current if made_by_a_rotation else _SIMULATED_LLAMA_KEY
