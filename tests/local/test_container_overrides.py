"""A container differs from its task definition in one set of variables, and no further."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.container_overrides import RealProviders, container_overrides
from local.ports import Ports

PORTS = Ports(emulator=1001, providers=1002, gateway=1003)
DEFINED = {
    "PORT": "8080",
    "GOOGLE_BASE_URL": "https://aiplatform.eu.rep.googleapis.com",
    "GOOGLE_PROJECT": "defined-project",
    "LLAMA_BASE_URL": "https://llama.example/v1",
    "PROVIDER_HOSTS": "aiplatform.eu.rep.googleapis.com,llama.example,oauth2.googleapis.com",
    "MODEL_REGISTRY_TABLE": "ai_model_registry",
}


def test_without_credentials_every_provider_is_simulated() -> None:
    assert container_overrides(DEFINED, PORTS, "eu-central-1", RealProviders()) == {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1001",
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": "http://127.0.0.1:1002",
        "GOOGLE_BASE_URL": "http://127.0.0.1:1002",
        "LLAMA_BASE_URL": "http://127.0.0.1:1002/llama/v1",
        "LISTEN_ADDRESS": "127.0.0.1",
        "PORT": "1003",
        "PROVIDER_HOSTS": "127.0.0.1",
    }


def test_a_provider_that_the_environment_disables_is_not_brought_back() -> None:
    overrides = container_overrides({}, PORTS, "eu-central-1", RealProviders())
    assert not {"GOOGLE_BASE_URL", "LLAMA_BASE_URL"} & set(overrides)


def test_real_bedrock_gets_its_own_endpoint_and_token() -> None:
    overrides = container_overrides(DEFINED, PORTS, "eu-central-1", RealProviders(bedrock_token="token"))
    assert (
        overrides["AWS_ENDPOINT_URL_BEDROCK_RUNTIME"] == "https://bedrock-runtime.eu-central-1.amazonaws.com"
    )
    assert overrides["AWS_BEARER_TOKEN_BEDROCK"] == "token"
    assert overrides["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1001"


def test_real_google_keeps_its_endpoint_and_may_be_dialled(tmp_path: Path) -> None:
    real = RealProviders(google_key_file=tmp_path, google_project="my-project")
    overrides = container_overrides(DEFINED, PORTS, "eu-central-1", real)
    assert "GOOGLE_BASE_URL" not in overrides
    assert overrides["GOOGLE_PROJECT"] == "my-project"
    hosts = overrides["PROVIDER_HOSTS"].split(",")
    assert hosts == ["127.0.0.1", "aiplatform.eu.rep.googleapis.com", "oauth2.googleapis.com"]


def test_real_llama_is_dialled_where_the_caller_says() -> None:
    real = RealProviders(llama_key="key", llama_base_url="https://my-llama.example/v1")
    overrides = container_overrides(DEFINED, PORTS, "eu-central-1", real)
    assert overrides["LLAMA_BASE_URL"] == "https://my-llama.example/v1"
    assert overrides["PROVIDER_HOSTS"] == "127.0.0.1,my-llama.example"


def test_a_provider_is_real_only_with_everything_it_needs(tmp_path: Path) -> None:
    key_file = tmp_path / "key.json"
    key_file.write_text("{}")
    complete = {
        "AWS_BEARER_TOKEN_BEDROCK": "token",
        "GOOGLE_APPLICATION_CREDENTIALS": str(key_file),
        "GOOGLE_CLOUD_PROJECT": "project",
        "LLAMA_API_KEY": "key",
        "LLAMA_BASE_URL": "https://llama.example/v1",
    }
    assert RealProviders.found_in(complete).described() == "Bedrock real, Google real, Llama real"
    for missing in complete:
        partial = {name: value for name, value in complete.items() if name != missing}
        assert RealProviders.found_in(partial).described().count("simulated") == 1


@pytest.mark.parametrize("environment", [{}, {"AWS_BEARER_TOKEN_BEDROCK": ""}])
def test_no_credentials_mean_no_real_provider(environment: dict[str, str]) -> None:
    assert RealProviders.found_in(environment) == RealProviders()
