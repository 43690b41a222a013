"""The ModelRegistry stack: the table, the guard, the route set, and what is refused before any synthesis."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from stacks.declared_models import load_models
from stacks.route_set import RouteSet, load_route_set
from stacks.settings import SettingsError
from tests.stacks.synthesis import ENVIRONMENTS, Properties, Resource, Synthesis

STACK = "ModelRegistry"
PROVIDERS = ("bedrock", "google", "llama")


def custom_resource(synthesis: Synthesis, *, declaring: str) -> Resource:
    (found,) = (
        resource
        for resource in synthesis.resources("AWS::CloudFormation::CustomResource", STACK)
        if declaring in resource.properties
    )
    return found


def registry_table(synthesis: Synthesis) -> Properties:
    (found,) = (
        resource.properties
        for resource in synthesis.resources("AWS::DynamoDB::GlobalTable", STACK)
        if "TableName" in resource.properties
    )
    return found


def guard(synthesis: Synthesis) -> Resource:
    return custom_resource(synthesis, declaring="Items")


def route_set_parameter(synthesis: Synthesis) -> dict[str, str]:
    declared = custom_resource(synthesis, declaring="Parameters").properties["Parameters"]
    parameter: dict[str, str]
    (parameter,) = json.loads(declared)
    return parameter


def route_set_in_force(synthesis: Synthesis) -> dict[str, object]:
    route_set: dict[str, object] = json.loads(route_set_parameter(synthesis)["Value"])
    return route_set


# ---- the stack ----


def test_the_table_has_the_name_and_the_keys_of_the_contract(every_environment: Synthesis) -> None:
    table = registry_table(every_environment)
    assert table["TableName"] == "ai_model_registry"
    assert table["KeySchema"] == [
        {"AttributeName": "provider#model", "KeyType": "HASH"},
        {"AttributeName": "version", "KeyType": "RANGE"},
    ]


def test_the_table_is_encrypted_and_can_be_restored(every_environment: Synthesis) -> None:
    table = registry_table(every_environment)
    (replica,) = table["Replicas"]
    assert table["SSESpecification"] == {"SSEEnabled": True, "SSEType": "KMS"}
    assert "TableKey" in str(replica["SSESpecification"]["KMSMasterKeyId"])
    assert replica["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True


def test_the_guard_is_given_every_declared_version_with_its_types(every_environment: Synthesis) -> None:
    items = json.loads(guard(every_environment).properties["Items"])
    declared = load_models(ENVIRONMENTS / "models")
    assert items == [model.item for model in declared]
    assert len(items) == len(list((ENVIRONMENTS / "models").glob("*.toml")))
    for item in items:
        assert item["provider#model"] == f"{item['provider']}#{item['model']}"
        assert isinstance(item["context_window_tokens"], int)
        assert isinstance(item["price"]["as_of"], str)


def test_the_guard_answers_within_minutes_instead_of_the_default_hour(production: Synthesis) -> None:
    assert guard(production).properties["ServiceTimeout"] == 300


def test_the_guard_may_read_both_stores_add_versions_write_its_log_and_nothing_else(
    every_environment: Synthesis,
) -> None:
    (policy,) = (
        resource.properties
        for resource in every_environment.resources("AWS::IAM::Policy", STACK)
        if resource.logical_id.startswith("Guard")
    )
    actions = {
        action
        for statement in policy["PolicyDocument"]["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    assert actions == {
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "kms:Decrypt",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "ssm:GetParameter",
    }
    assert all(statement["Resource"] != "*" for statement in policy["PolicyDocument"]["Statement"])
    roles = every_environment.resources("AWS::IAM::Role", STACK)
    assert not [role.name for role in roles if "ManagedPolicyArns" in role.properties]


def test_the_route_set_is_written_after_the_versions_it_names(production: Synthesis) -> None:
    route_set = custom_resource(production, declaring="Parameters")
    assert guard(production).logical_id in route_set.body["DependsOn"]


def test_the_route_set_names_only_enabled_providers(every_environment: Synthesis) -> None:
    models = route_set_in_force(every_environment)["models"]
    assert isinstance(models, list)
    named = {model["key"].split("#")[0] for model in models}
    assert named == set(every_environment.environment.enabled_providers)


def test_the_route_set_is_minified_and_fits_its_parameter(every_environment: Synthesis) -> None:
    parameter = route_set_parameter(every_environment)
    environment = every_environment.environment.name
    assert parameter["Name"] == f"/ai-orchestration/{environment}/route-sets/active"
    assert parameter["Value"] == json.dumps(
        json.loads(parameter["Value"]), ensure_ascii=False, separators=(",", ":")
    )
    assert len(parameter["Value"].encode()) <= 4096


def test_operators_find_table_and_route_set_in_the_outputs(production: Synthesis) -> None:
    outputs = production.templates[STACK]["Outputs"]
    assert {"RegistryTableName", "RouteSetParameterName"} <= set(outputs)


# ---- what is refused before the synthesis ----


@pytest.fixture
def declared(tmp_path: Path) -> Path:
    """A copy of the declared models and route sets that a test may damage."""
    for folder in ("models", "route-sets"):
        shutil.copytree(ENVIRONMENTS / folder, tmp_path / folder)
    return tmp_path


def edit(file: Path, pattern: str, replacement: str) -> None:
    text, count = re.subn(pattern, replacement, file.read_text(), flags=re.MULTILINE)
    assert count, f"{pattern} is not in {file.name}"
    file.write_text(text)


def loaded(
    declared: Path, *, enabled_providers: tuple[str, ...] = PROVIDERS, eu_only: bool = True
) -> RouteSet:
    return load_route_set(
        declared / "route-sets" / "default.toml",
        declared=load_models(declared / "models"),
        enabled_providers=enabled_providers,
        eu_only=eu_only,
    )


SONNET = "bedrock-claude-sonnet-4-5.toml"


def test_models_of_disabled_providers_are_left_out(declared: Path) -> None:
    assert {model.provider for model in loaded(declared, enabled_providers=("google",)).models} == {"google"}


def test_every_mistake_in_every_model_file_is_named_at_once(declared: Path) -> None:
    edit(declared / "models" / SONNET, r"^context_window_tokens = .*$", "context_window_tokens = 0")
    edit(declared / "models" / SONNET, r"^family = .*$", 'family = "gpt"')
    edit(declared / "models" / "google-gemini-2.5-pro.toml", r"^vision = .*$", "sight = true")
    (declared / "models" / "broken.toml").write_text("provider =")
    with pytest.raises(SettingsError) as error:
        load_models(declared / "models")
    message = str(error.value)
    for named in (SONNET, "context_window_tokens", "family", "gpt", "gemini-2.5-pro", "sight", "broken"):
        assert named in message


def test_a_version_declared_twice_is_refused(declared: Path) -> None:
    shutil.copy(declared / "models" / SONNET, declared / "models" / "copy.toml")
    with pytest.raises(SettingsError, match=r"declares this version of bedrock#claude-sonnet-4-5 as well"):
        load_models(declared / "models")


def test_a_route_set_naming_an_undeclared_version_is_refused_with_the_declared_ones(
    declared: Path,
) -> None:
    (declared / "models" / SONNET).unlink()
    with pytest.raises(SettingsError) as error:
        loaded(declared)
    assert "bedrock#claude-sonnet-4-5 2026-11-01" in str(error.value)
    assert "declares: none" in str(error.value)


@pytest.mark.parametrize("fact", ["eu_processing", "eu_licence"])
def test_a_model_without_an_eu_fact_is_refused_exactly_where_eu_only_holds(declared: Path, fact: str) -> None:
    edit(declared / "models" / SONNET, rf"^{fact} = true$", f"{fact} = false")
    with pytest.raises(SettingsError, match=fact):
        loaded(declared, eu_only=True)
    assert len(loaded(declared, eu_only=False).models) == 6


def test_a_route_set_breaking_its_schema_is_refused_by_key(declared: Path) -> None:
    edit(declared / "route-sets" / "default.toml", r"^sla_ms = .*$", "sla_ms = 0")
    with pytest.raises(SettingsError, match=r"tiers\.premium\.sla_ms"):
        loaded(declared)


def test_an_unknown_default_domain_is_refused(declared: Path) -> None:
    edit(declared / "route-sets" / "default.toml", r"^default_domain = .*$", 'default_domain = "none"')
    with pytest.raises(SettingsError, match="default_domain"):
        loaded(declared)


def test_a_model_listed_twice_is_refused(declared: Path) -> None:
    line = '  { key = "google#gemini-2.5-pro", version = "2026-11-01" },\n'
    edit(declared / "route-sets" / "default.toml", re.escape(line), line + line)
    with pytest.raises(SettingsError, match="more than once"):
        loaded(declared)


def test_a_route_set_too_large_for_its_parameter_is_refused_with_its_size(declared: Path) -> None:
    with (declared / "route-sets" / "default.toml").open("a") as file:
        for number in range(100):
            file.write(f"\n[domains.subject-{number}.fit]\nclaude = 0.12345\n")
    with pytest.raises(SettingsError, match=r"\d{4} bytes"):
        loaded(declared)


def test_a_route_set_without_any_model_left_is_refused(declared: Path) -> None:
    with pytest.raises(SettingsError, match="no model is left"):
        loaded(declared, enabled_providers=())
