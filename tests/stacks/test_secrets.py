"""The Secrets stack: what is generated, what an operator sets, and who may use the keys."""

from __future__ import annotations

import json
import re

import pytest

from tests.stacks.synthesis import Synthesis


def secret(synthesis: Synthesis, start: str) -> dict[str, object]:
    (found,) = [
        resource.properties
        for resource in synthesis.resources("AWS::SecretsManager::Secret", "Secrets")
        if re.fullmatch(rf"{start}[0-9A-F]{{8}}", resource.logical_id)
    ]
    return found


@pytest.mark.parametrize("name", ["ClientKeys", "AdminKeys"])
def test_the_gateways_own_keys_are_born_with_a_generated_current_key(
    production: Synthesis, name: str
) -> None:
    generator = secret(production, name)["GenerateSecretString"]
    assert isinstance(generator, dict)
    assert generator["GenerateStringKey"] == "current"
    assert json.loads(generator["SecretStringTemplate"]) == {"previous": ""}
    assert generator["PasswordLength"] >= 32
    assert generator["ExcludePunctuation"] is True


@pytest.mark.parametrize("name", ["Google", "Llama"])
def test_a_providers_secret_is_born_empty(production: Synthesis, name: str) -> None:
    assert secret(production, name)["SecretString"] == "{}"


def test_every_secret_is_encrypted_with_the_environments_own_key(production: Synthesis) -> None:
    keys = [
        json.dumps(resource.properties["KmsKeyId"])
        for resource in production.resources("AWS::SecretsManager::Secret", "Secrets")
    ]
    assert len(keys) == 4  # without the key of an administrator, which this environment has no use for
    assert len(set(keys)) == 1
    assert "SecretsKey" in keys[0]


def test_every_key_is_rotated(production: Synthesis) -> None:
    keys = production.resources("AWS::KMS::Key", "Secrets")
    assert len(keys) == 3
    assert all(key.properties["EnableKeyRotation"] is True for key in keys)


def test_only_log_groups_of_the_account_may_use_the_log_key(production: Synthesis) -> None:
    (key,) = [
        resource
        for resource in production.resources("AWS::KMS::Key", "Secrets")
        if resource.logical_id.startswith("LogKey")
    ]
    (statement,) = [
        statement
        for statement in key.properties["KeyPolicy"]["Statement"]
        if "Service" in statement["Principal"]
    ]
    assert statement["Principal"] == {"Service": "logs.eu-central-1.amazonaws.com"}
    assert statement["Condition"] == {
        "ArnLike": {
            "kms:EncryptionContext:aws:logs:arn": "arn:aws:logs:eu-central-1:333333333333:log-group:*"
        }
    }


def test_operators_find_the_secrets_in_the_outputs(every_environment: Synthesis) -> None:
    outputs = every_environment.templates["Secrets"]["Outputs"]
    for output, start in {
        "ClientKeysSecretArn": "ClientKeys",
        "AdminKeysSecretArn": "AdminKeys",
        "GoogleSecretArn": "Google",
        "LlamaSecretArn": "Llama",
        "RotationFunctionName": "RotationFunction",
    }.items():
        assert outputs[output]["Value"]["Ref"].startswith(start)


def test_an_administrators_key_has_a_secret_where_keys_are_administered(every_environment: Synthesis) -> None:
    administered = every_environment.environment.providers.llama.key_administration_url is not None
    outputs = every_environment.templates["Secrets"]["Outputs"]

    assert ("LlamaAdministrationSecretArn" in outputs) == administered
    if administered:
        assert secret(every_environment, "LlamaAdministration")["SecretString"] == "{}"
