"""What holds for every environment as a whole, and how the app is started."""

from __future__ import annotations

import filecmp
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stacks.acknowledgements import LISTED_ONLY
from tests.stacks.synthesis import ROOT, Synthesis

STACKS_IN_DEPLOY_ORDER = (
    "Network",
    "Secrets",
    "ModelRegistry",
    "FeatureFlags",
    "Guardrails",
    "Cache",
    "Gateway",
    "Monitoring",
)
STATEFUL = {"Network", "Secrets", "ModelRegistry", "FeatureFlags", "Cache"}


def as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


# ---- names and places ----


def test_every_stack_has_its_contract_name(every_environment: Synthesis) -> None:
    prefix = f"ai-orchestration-{every_environment.environment.name}"
    names = {
        stack: artifact["properties"]["stackName"]
        for stack, artifact in every_environment.manifest["stacks"].items()
    }
    assert names == {
        "Network": f"{prefix}-network",
        "Secrets": f"{prefix}-secrets",
        "ModelRegistry": f"{prefix}-model-registry",
        "FeatureFlags": f"{prefix}-feature-flags",
        "Guardrails": f"{prefix}-guardrails",
        "Cache": f"{prefix}-cache",
        "Gateway": f"{prefix}-gateway",
        "Monitoring": f"{prefix}-monitoring",
    }


def test_nothing_is_looked_up(every_environment: Synthesis) -> None:
    assert "missing" not in every_environment.manifest
    assert not (ROOT / "cdk.context.json").exists()
    deployment = every_environment.environment.deployment
    assert {artifact["environment"] for artifact in every_environment.manifest["stacks"].values()} == {
        f"aws://{deployment.account}/{deployment.region}"
    }


def test_zones_are_the_ones_the_settings_name(every_environment: Synthesis) -> None:
    zones = {
        subnet.properties["AvailabilityZone"] for subnet in every_environment.resources("AWS::EC2::Subnet")
    }
    assert zones == set(every_environment.environment.deployment.availability_zones)


# ---- tags ----


def test_every_stack_is_tagged(every_environment: Synthesis) -> None:
    settings = every_environment.environment
    expected = {
        "owner": settings.tags.owner,
        "service": settings.tags.service,
        "environment": settings.name,
        "cost-centre": settings.tags.cost_centre,
    }
    for artifact in every_environment.manifest["stacks"].values():
        assert artifact["properties"]["tags"] == expected


# ---- permissions ----


def test_no_role_has_a_policy_that_somebody_else_maintains(every_environment: Synthesis) -> None:
    assert [
        role.name
        for role in every_environment.resources("AWS::IAM::Role")
        if "ManagedPolicyArns" in role.properties
    ] == []


# ---- secrets ----


def test_no_secret_stands_in_a_template(every_environment: Synthesis) -> None:
    for resource in every_environment.resources("AWS::SecretsManager::Secret"):
        assert resource.properties.get("SecretString", "{}") == "{}", resource.name
    for stack, template in every_environment.templates.items():
        assert "{{resolve:" not in json.dumps(template), stack


def test_what_the_container_is_told_of_secrets_is_where_they_are(every_environment: Synthesis) -> None:
    (definition,) = every_environment.only("AWS::ECS::TaskDefinition")["ContainerDefinitions"]
    telling = [
        entry for entry in definition["Environment"] if re.search("KEY|SECRET|TOKEN|PASSWORD", entry["Name"])
    ]
    assert telling
    for entry in telling:
        assert list(entry["Value"]) == ["Fn::ImportValue"], entry["Name"]


# ---- data ----


def test_stateful_stacks_are_protected_exactly_where_the_environment_is(every_environment: Synthesis) -> None:
    protected = {
        stack
        for stack, artifact in every_environment.manifest["stacks"].items()
        if artifact["properties"]["terminationProtection"]
    }
    assert protected == (STATEFUL if every_environment.environment.deployment.stateful_protection else set())


def test_production_is_protected_and_development_is_not(
    production: Synthesis, development: Synthesis
) -> None:
    assert production.environment.deployment.stateful_protection
    assert not development.environment.deployment.stateful_protection


# ---- references between stacks ----


def test_only_what_must_not_vanish_under_its_users_is_locked(every_environment: Synthesis) -> None:
    locked = {
        construct_path(every_environment, stack, output["Value"])
        for stack, template in every_environment.templates.items()
        for output in template.get("Outputs", {}).values()
        if "Export" in output
    }
    expected = {
        "Network/Vpc/Resource",
        "Secrets/SecretsKey/Resource",
        "Secrets/TableKey/Resource",
        "Secrets/LogKey/Resource",
        "Secrets/ClientKeys/Resource",
        "Secrets/AdminKeys/Resource",
        "ModelRegistry/Table/Resource",
        "ModelRegistry/AuditTable/Resource",
        "FeatureFlags/FlagTable/Resource",
    }
    for provider, settings in (("Google", "google"), ("Llama", "llama")):
        if getattr(every_environment.environment.providers, settings).enabled:
            expected.add(f"Secrets/{provider}/Resource")
    assert locked == expected


def construct_path(synthesis: Synthesis, stack: str, value: dict[str, Any]) -> str:
    logical_id = value["Ref"] if "Ref" in value else value["Fn::GetAtt"][0]
    path: str = synthesis.templates[stack]["Resources"][logical_id]["Metadata"]["aws:cdk:path"]
    return path


def test_other_references_between_stacks_are_weak(production: Synthesis) -> None:
    assert "Fn::GetStackOutput" in json.dumps(production.templates["Gateway"])


def test_the_gateway_is_deployed_after_everything_it_reads(production: Synthesis) -> None:
    dependencies = production.manifest["stacks"]["Gateway"]["dependencies"]
    assert {"Network", "Secrets", "ModelRegistry", "FeatureFlags"} <= set(dependencies)


# ---- starting the app ----


def test_every_feature_flag_that_the_cli_recommends_is_adopted_but_one() -> None:
    """The deviation is explained in docs/decisions/cdk-app.md."""
    templates = ROOT / "node_modules" / "aws-cdk" / "lib" / "init-templates"
    recommended = json.loads((templates / ".recommended-feature-flags.json").read_text())
    adopted = json.loads((ROOT / "cdk.json").read_text())["context"]
    assert adopted == {**recommended, "@aws-cdk/core:target-partitions": ["aws"]}


def run_app(
    output: Path, name: str, *, context: Mapping[str, object] | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run `app.py` in a process of its own, as the CDK CLI does."""
    settings = json.loads((ROOT / "cdk.json").read_text())["context"]
    return subprocess.run(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env={
            **{key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "ENV"))},
            "CDK_OUTDIR": str(output),
            "CDK_CONTEXT_JSON": json.dumps({**settings, **(context or {}), "environment": name}),
            **variables,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def differing(comparison: filecmp.dircmp[str]) -> Iterator[str]:
    yield from comparison.left_only + comparison.right_only
    _, mismatch, errors = filecmp.cmpfiles(
        comparison.left, comparison.right, comparison.common_files, shallow=False
    )
    yield from mismatch + errors
    for inner in comparison.subdirs.values():
        yield from differing(inner)


def test_two_processes_write_the_same_bytes(tmp_path: Path) -> None:
    for seed in ("1", "2"):
        finished = run_app(tmp_path / seed, "production", PYTHONHASHSEED=seed, CDK_VALIDATION="false")
        assert finished.returncode == 0, finished.stderr
    assert (tmp_path / "1" / "manifest.json").is_file()
    assert list(differing(filecmp.dircmp(tmp_path / "1", tmp_path / "2"))) == []


def test_the_app_checks_itself_with_the_built_in_rules_and_the_solutions_pack(tmp_path: Path) -> None:
    finished = run_app(tmp_path, "development", context={LISTED_ONLY: True})
    assert finished.returncode == 1
    assert "Traceback" not in finished.stderr
    assert "AwsSolutions-SMG4" in finished.stderr
    assert "CloudFormation-Validate::W3010" in finished.stderr
    settings = json.loads((ROOT / "cdk.json").read_text())["context"]
    assert settings["@aws-cdk/core:validateAgainstDefaultRules"] is True


def test_an_unknown_environment_ends_with_status_1_and_the_known_ones(tmp_path: Path) -> None:
    finished = run_app(tmp_path, "nowhere")
    assert finished.returncode == 1
    assert "nowhere" in finished.stderr
    assert "Traceback" not in finished.stderr
    assert not (tmp_path / "manifest.json").exists()


def test_mistakes_are_printed_before_the_cdk_is_loaded() -> None:
    script = (
        "import sys, app\n"
        "status = app.main({'ENVIRONMENT': 'nowhere'})\n"
        "print(status, 'aws_cdk' in sys.modules)"
    )
    finished = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert finished.stdout.split() == ["1", "False"]


def test_the_context_names_the_environment_then_the_variable_then_local() -> None:
    from app import environment_name

    context = json.dumps({"environment": "staging"})
    assert environment_name({"CDK_CONTEXT_JSON": context, "ENVIRONMENT": "production"}) == "staging"
    assert environment_name({"CDK_CONTEXT_JSON": "{}", "ENVIRONMENT": "production"}) == "production"
    assert environment_name({}) == "local"


def test_the_cli_lists_the_stacks_in_deploy_order(tmp_path: Path) -> None:
    finished = subprocess.run(
        [
            "node_modules/.bin/cdk", "list", "--no-lookups", "--context", "environment=production",
            "--output", str(tmp_path), "--no-notices",
        ],
        cwd=ROOT,
        env={
            **{key: value for key, value in os.environ.items() if not key.startswith("AWS_")},
            "CDK_VALIDATION": "false",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    assert tuple(line.split()[0] for line in finished.stdout.splitlines()) == STACKS_IN_DEPLOY_ORDER
