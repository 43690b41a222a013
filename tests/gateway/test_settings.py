"""The container environment is read as docs/contracts.md writes it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.settings import SettingsError, read_settings
from tests.gateway.process import process_environment

GIVEN = process_environment("http://127.0.0.1:4566", "http://127.0.0.1:9000")


def test_bedrock_is_called_in_the_region_unless_told_otherwise() -> None:
    plain = {name: value for name, value in GIVEN.items() if not name.startswith("AWS_ENDPOINT_URL")}
    assert read_settings(plain).bedrock_base_url == "https://bedrock-runtime.eu-central-1.amazonaws.com"
    general = {**plain, "AWS_ENDPOINT_URL": "http://127.0.0.1:4566/"}
    assert read_settings(general).bedrock_base_url == "http://127.0.0.1:4566"
    assert read_settings(GIVEN).bedrock_base_url == "http://127.0.0.1:9000"


def test_the_container_listens_everywhere_unless_told_otherwise() -> None:
    without = {name: value for name, value in GIVEN.items() if name != "LISTEN_ADDRESS"}
    assert read_settings(without).listen_address == "0.0.0.0"  # noqa: S104
    assert read_settings(GIVEN).listen_address == "127.0.0.1"


def test_a_disabled_provider_has_no_settings() -> None:
    settings = read_settings({k: v for k, v in GIVEN.items() if not k.startswith(("GOOGLE_", "LLAMA_"))})
    assert settings.google is None
    assert settings.llama is None


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"PORT": "0"}, "PORT"),
        ({"PORT": "٨"}, "PORT"),
        ({"LOG_LEVEL": "LOUD"}, "LOG_LEVEL"),
        ({"EU_ONLY": "TRUE"}, "EU_ONLY"),
        ({"MAXIMUM_BODY_BYTES": "-1"}, "MAXIMUM_BODY_BYTES"),
        ({"DRAIN_TIME_S": "soon"}, "DRAIN_TIME_S"),
        ({"GOOGLE_SECRET": ""}, "GOOGLE_SECRET"),
        ({"LLAMA_BASE_URL": "llama.example.org"}, "LLAMA_BASE_URL"),
        ({"GOOGLE_BASE_URL": "https://[::1"}, "GOOGLE_BASE_URL"),
        ({"BEDROCK_ROLE_ARN": "arn:aws:iam::210987654321:user/somebody"}, "BEDROCK_ROLE_ARN"),
        ({"BEDROCK_ROLE_EXTERNAL_ID": "agreed"}, "BEDROCK_ROLE_ARN"),
        ({"PROVIDER_HOSTS": "*.googleapis.com"}, "PROVIDER_HOSTS"),
        ({"CLIENT_KEYS_SECRET": " "}, "CLIENT_KEYS_SECRET"),
        ({"AWS_REGION": "us-east-1"}, "AWS_REGION"),
        ({"GOOGLE_LOCATION": "global"}, "GOOGLE_LOCATION"),
        ({"GOOGLE_LOCATION": "europe-west6"}, "GOOGLE_LOCATION"),
        ({"AWS_REGION": "eu-west-2"}, "AWS_REGION"),
    ],
)
def test_a_wrong_variable_is_named(changes: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read_settings({**GIVEN, **changes})
    assert len(refused.value.mistakes) == 1
    assert refused.value.mistakes[0].startswith(told)


def test_other_regions_are_for_environments_that_are_not_bound_to_the_eu() -> None:
    settings = read_settings(
        {**GIVEN, "EU_ONLY": "false", "AWS_REGION": "us-east-1", "GOOGLE_LOCATION": "global"}
    )
    assert not settings.eu_only


class Watched(dict[str, str]):
    """An environment that remembers which of its variables were asked for."""

    def __init__(self, variables: dict[str, str]) -> None:
        super().__init__(variables)
        self.asked: set[str] = set()

    def get(self, name: str, default: str = "") -> str:  # type: ignore[override]
        self.asked.add(name)
        return super().get(name, default)


def test_the_variables_read_are_those_of_the_contract() -> None:
    contract = (Path(__file__).parents[2] / "docs/contracts.md").read_text()
    table = contract.partition("## Container environment")[2].partition("## ")[0]
    written = {
        name
        for row in table.splitlines()
        if row.startswith("| `")
        for name in re.findall(r"`([A-Z_]+)`", row.split("|")[1])
    }
    environment = Watched(GIVEN)
    read_settings(environment)
    assert {name for name in environment.asked if not name.startswith("AWS_ENDPOINT_URL")} == written


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as refused:
        read_settings({})
    assert len(refused.value.mistakes) == 15
