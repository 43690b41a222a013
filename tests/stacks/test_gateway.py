"""The Gateway stack: what the container is told and may do, how it is reached, scales and stops."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stacks.constructs.bedrock_access import DESTINATION_REGIONS, INVOKING, invoke_statements
from stacks.declared_models import DeclaredModel, load_models
from stacks.settings import Architecture, Environment
from stacks.settings_residency import EU_REGIONS
from tests.stacks.synthesis import (
    ENVIRONMENTS,
    ROOT,
    Properties,
    Synthesis,
    load_environment,
    synthesise,
)

STACK = "Gateway"
LOAD_BALANCING = "AWS::ElasticLoadBalancingV2"


def container(synthesis: Synthesis) -> Properties:
    (definition,) = synthesis.only("AWS::ECS::TaskDefinition", STACK)["ContainerDefinitions"]
    return dict(definition)


def variables(synthesis: Synthesis) -> dict[str, Any]:
    return {entry["Name"]: entry["Value"] for entry in container(synthesis)["Environment"]}


def attributes(properties: Properties, key: str) -> dict[str, Any]:
    return {entry["Key"]: entry["Value"] for entry in properties[key]}


def statements(synthesis: Synthesis, role: str) -> list[dict[str, Any]]:
    (policy,) = [
        resource.properties
        for resource in synthesis.resources("AWS::IAM::Policy", STACK)
        if role in str(resource.properties["Roles"])
    ]
    document: list[dict[str, Any]] = policy["PolicyDocument"]["Statement"]
    return document


def as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def changed(name: str, **sections: dict[str, object]) -> Environment:
    """A declared environment with some settings changed."""
    environment = load_environment(name)
    updates = {
        section: getattr(environment, section).model_copy(update=values)
        for section, values in sections.items()
    }
    return environment.model_copy(update=updates)


# ---- the container ----


def test_the_containers_environment_is_that_of_the_contract(every_environment: Synthesis) -> None:
    environment = every_environment.environment
    told = variables(every_environment)
    expected = {
        "ENVIRONMENT", "AWS_REGION", "PORT", "LOG_LEVEL", "EU_ONLY", "MODEL_REGISTRY_TABLE",
        "ROUTE_SET_PARAMETER", "ROUTE_SET_LIBRARY", "AUDIT_TABLE", "FLAG_PARAMETERS", "FLAG_TABLE",
        "CLIENT_KEYS_SECRET", "ADMIN_KEYS_SECRET",
        "PROVIDER_HOSTS", "MAXIMUM_BODY_BYTES", "DRAIN_TIME_S",
    }  # fmt: skip
    if environment.providers.google.enabled:
        expected |= {"GOOGLE_SECRET", "GOOGLE_BASE_URL", "GOOGLE_PROJECT", "GOOGLE_LOCATION"}
    if environment.providers.llama.enabled:
        expected |= {"LLAMA_SECRET", "LLAMA_BASE_URL"}
    assert set(told) == expected
    assert told["ENVIRONMENT"] == environment.name
    assert told["AWS_REGION"] == environment.deployment.region
    assert told["PORT"] == "8080"
    assert told["EU_ONLY"] == "true"
    assert told["ROUTE_SET_LIBRARY"] == f"/ai-orchestration/{environment.name}/route-sets/library"
    assert told["FLAG_PARAMETERS"] == f"/ai-orchestration/{environment.name}/flags"
    assert told["PROVIDER_HOSTS"].split(",") == list(environment.provider_hosts)
    assert told["MAXIMUM_BODY_BYTES"] == str(environment.gateway.maximum_body_bytes)
    assert told["DRAIN_TIME_S"] == str(environment.scaling.drain_time_s)


def test_every_variable_the_container_is_told_is_in_the_contract(every_environment: Synthesis) -> None:
    contract = (ROOT / "docs" / "contracts.md").read_text()
    assert [name for name in variables(every_environment) if f"`{name}`" not in contract] == []


def test_the_container_can_write_nothing_and_is_nobody(production: Synthesis) -> None:
    definition = container(production)
    assert definition["ReadonlyRootFilesystem"] is True
    assert definition["Privileged"] is False
    assert definition["User"] == "65532:65532"
    assert "Secrets" not in definition


def test_the_containers_health_is_asked_of_the_gateway_itself(production: Synthesis) -> None:
    assert container(production)["HealthCheck"]["Command"] == ["CMD", "python", "-m", "gateway", "health"]


@pytest.mark.parametrize("architecture", list(Architecture))
def test_one_setting_chooses_the_processor_of_image_and_task(
    tmp_path: Path, architecture: Architecture
) -> None:
    synthesis = synthesise(changed("development", gateway={"architecture": architecture}), tmp_path)
    task = synthesis.only("AWS::ECS::TaskDefinition", STACK)
    assets = json.loads((tmp_path / "Gateway.assets.json").read_text())["dockerImages"]
    (image,) = assets.values()
    assert task["RuntimePlatform"]["CpuArchitecture"] == architecture.upper()
    assert image["source"]["platform"] == {"arm64": "linux/arm64", "x86_64": "linux/amd64"}[architecture]


def test_the_image_is_built_from_what_it_names_and_no_cache(production: Synthesis) -> None:
    assets = json.loads((production.directory / "Gateway.assets.json").read_text())["dockerImages"]
    (image,) = assets.values()
    context = production.directory / image["source"]["directory"]
    ignored = (context / ".dockerignore").read_text().splitlines()
    named = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert ignored[0] == "*"
    assert {"gateway", "requirements.txt"} <= named
    assert {entry.name for entry in context.iterdir()} == {".dockerignore", "Dockerfile", *named}
    assert (context / "gateway" / "__init__.py").is_file()
    assert [file for file in context.rglob("*") if file.name == "__pycache__" or file.suffix == ".pyc"] == []


# ---- what it may do ----


def test_the_task_may_make_the_calls_of_the_contract_and_no_others(every_environment: Synthesis) -> None:
    actions = {
        action
        for statement in statements(every_environment, "TaskRole")
        for action in as_list(statement["Action"])
    }
    assert actions == {
        "dynamodb:Scan",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:UpdateItem",
        "ssm:GetParameter",
        "ssm:GetParameterHistory",
        "ssm:GetParametersByPath",
        "ssm:PutParameter",
        "secretsmanager:GetSecretValue",
        "kms:Decrypt",
        "bedrock:InvokeModel",
        "bedrock:InvokeModelWithResponseStream",
    }
    contract = (ROOT / "docs" / "contracts.md").read_text()
    for action in actions - {"kms:Decrypt"}:
        assert f"`{action}`" in contract or f"`{action.split(':')[1]}`" in contract


def test_every_permission_of_the_task_names_its_resources(every_environment: Synthesis) -> None:
    """But for parameters that operators name; those of flags it may write and not read one by one."""
    wide = {
        resource.rpartition("/ai-orchestration/")[2].partition("/")[2]: as_list(statement["Action"])
        for statement in statements(every_environment, "TaskRole")
        for resource in as_list(statement["Resource"])
        if "*" in json.dumps(resource)
    }
    assert wide == {
        "route-sets/library/*": ["ssm:GetParameter", "ssm:PutParameter"],
        "flags/*": ["ssm:PutParameter"],
    }


def test_keys_may_only_decrypt_through_the_service_that_holds_the_data(production: Synthesis) -> None:
    through = [
        statement["Condition"]["StringEquals"]["kms:ViaService"]
        for statement in statements(production, "TaskRole")
        if statement["Action"] == "kms:Decrypt"
    ]
    assert sorted(through) == [
        "dynamodb.eu-central-1.amazonaws.com",
        "secretsmanager.eu-central-1.amazonaws.com",
    ]


def test_only_secrets_of_enabled_providers_may_be_read(synthesised: Callable[[str], Synthesis]) -> None:
    def readable(name: str) -> str:
        return json.dumps(
            [
                statement["Resource"]
                for statement in statements(synthesised(name), "TaskRole")
                if statement["Action"] == "secretsmanager:GetSecretValue"
            ]
        )

    assert "Llama" in readable("local")
    assert "Llama" not in readable("production")
    assert "ClientKeys" in readable("production")
    assert "AdminKeys" in readable("production")


def test_every_declared_bedrock_model_may_be_invoked_in_the_eu_and_only_through_its_profile(
    production: Synthesis,
) -> None:
    allowed = [
        statement for statement in statements(production, "TaskRole") if statement["Action"] == list(INVOKING)
    ]
    unconditional = {arn for one in allowed if "Condition" not in one for arn in as_list(one["Resource"])}
    profiles = {
        f"arn:aws:bedrock:eu-central-1:333333333333:inference-profile/{model.invocation_id}"
        for model in load_models(ENVIRONMENTS / "models")
        if model.provider == "bedrock"
    }
    assert unconditional == profiles
    for profile in profiles:
        (destinations,) = [
            one["Resource"]
            for one in allowed
            if one.get("Condition", {}).get("StringEquals") == {"bedrock:InferenceProfileArn": profile}
        ]
        model_id = profile.split("/eu.")[1]
        assert set(destinations) == {
            f"arn:aws:bedrock:{region}::foundation-model/{model_id}"
            for region in DESTINATION_REGIONS[f"eu.{model_id}"]
        }


def bedrock_model(invocation_id: str) -> DeclaredModel:
    return DeclaredModel(
        file=Path("model.toml"),
        provider="bedrock",
        model="model",
        version="2026-11-01",
        invocation_id=invocation_id,
        lifecycle="active",
        eu_processing=True,
        eu_licence=True,
        fields={},
    )


def test_a_model_without_a_profile_may_be_invoked_in_the_region_alone() -> None:
    (statement,) = invoke_statements(
        [bedrock_model("amazon.nova-lite-v1:0")], region="eu-west-1", account="1"
    )
    assert statement.resources == ["arn:aws:bedrock:eu-west-1::foundation-model/amazon.nova-lite-v1:0"]


@pytest.mark.parametrize("part", ["global", "us", "eu"])
def test_a_profile_whose_destinations_nobody_looked_up_is_refused(part: str) -> None:
    with pytest.raises(ValueError, match=f"{part}.meta.unheard-of are not known"):
        invoke_statements([bedrock_model(f"{part}.meta.unheard-of")], region="eu-west-1", account="1")


def test_a_profile_that_the_region_cannot_call_is_refused() -> None:
    with pytest.raises(ValueError, match="eu-north-1 cannot call"):
        invoke_statements(
            [bedrock_model("eu.meta.llama3-2-3b-instruct-v1:0")], region="eu-north-1", account="1"
        )


def test_no_profile_routes_out_of_the_eu() -> None:
    assert {region for regions in DESTINATION_REGIONS.values() for region in regions} <= EU_REGIONS


def test_nothing_may_be_invoked_where_bedrock_is_disabled(tmp_path: Path) -> None:
    environment = load_environment("local")
    providers = environment.providers
    disabled = providers.model_copy(
        update={"bedrock": providers.bedrock.model_copy(update={"enabled": False})}
    )
    synthesis = synthesise(environment.model_copy(update={"providers": disabled}), tmp_path)
    assert "bedrock:" not in json.dumps(statements(synthesis, "TaskRole"))


# ---- how callers reach it ----


def test_the_load_balancer_is_internal_strict_and_patient(every_environment: Synthesis) -> None:
    balancer = every_environment.only(f"{LOAD_BALANCING}::LoadBalancer", STACK)
    settings = attributes(balancer, "LoadBalancerAttributes")
    assert balancer["Scheme"] == "internal"
    assert settings["routing.http.drop_invalid_header_fields.enabled"] == "true"
    assert settings["access_logs.s3.enabled"] == "true"
    assert int(settings["idle_timeout.timeout_seconds"]) >= 300
    protected = every_environment.environment.deployment.stateful_protection
    assert settings["deletion_protection.enabled"] == str(protected).lower()


def test_access_logs_are_encrypted_private_and_expire(production: Synthesis) -> None:
    bucket = production.only("AWS::S3::Bucket", STACK)
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert all(bucket["PublicAccessBlockConfiguration"].values())
    (expiry,) = bucket["LifecycleConfiguration"]["Rules"]
    assert expiry["ExpirationInDays"] > 0


def test_only_the_gateways_own_paths_are_forwarded(every_environment: Synthesis) -> None:
    listener = every_environment.only(f"{LOAD_BALANCING}::Listener", STACK)
    (rejection,) = listener["DefaultActions"]
    rules = [
        resource.properties
        for resource in every_environment.resources(f"{LOAD_BALANCING}::ListenerRule", STACK)
    ]
    assert rejection["FixedResponseConfig"]["StatusCode"] == "404"
    assert json.loads(rejection["FixedResponseConfig"]["MessageBody"])["error"]["code"] == "not_found"
    forwarded = {
        path for rule in rules for one in rule["Conditions"] for path in one["PathPatternConfig"]["Values"]
    }
    assert forwarded == {"/v1/*", "/health/*"}


def test_without_a_certificate_the_listener_speaks_http(development: Synthesis) -> None:
    listener = development.only(f"{LOAD_BALANCING}::Listener", STACK)
    assert (listener["Port"], listener["Protocol"]) == (80, "HTTP")


def test_with_a_certificate_the_listener_speaks_current_tls_alone(tmp_path: Path) -> None:
    certificate = "arn:aws:acm:eu-central-1:111111111111:certificate/0000-1111"
    synthesis = synthesise(changed("development", gateway={"certificate_arn": certificate}), tmp_path)
    listener = synthesis.only(f"{LOAD_BALANCING}::Listener", STACK)
    (balancer_group,) = [
        resource.properties
        for resource in synthesis.resources("AWS::EC2::SecurityGroup", STACK)
        if "SecurityGroupIngress" in resource.properties
    ]
    assert (listener["Port"], listener["Protocol"]) == (443, "HTTPS")
    assert listener["Certificates"] == [{"CertificateArn": certificate}]
    assert listener["SslPolicy"].startswith("ELBSecurityPolicy-TLS13-1-2")
    assert [rule["FromPort"] for rule in balancer_group["SecurityGroupIngress"]] == [443]


# ---- how it is run ----


def test_the_service_waits_for_its_listener_and_its_permissions(production: Synthesis) -> None:
    (service,) = production.resources("AWS::ECS::Service", STACK)
    needed = [
        resource.logical_id
        for resource in production.resources(stack=STACK)
        if resource.type == f"{LOAD_BALANCING}::ListenerRule"
        or resource.logical_id.startswith("TaskRoleDefaultPolicy")
    ]
    assert len(needed) == 2
    assert set(needed) <= set(service.body["DependsOn"])


def test_the_load_balancer_asks_whether_the_gateway_is_ready(production: Synthesis) -> None:
    group = production.only(f"{LOAD_BALANCING}::TargetGroup", STACK)
    assert (group["HealthCheckPath"], group["Port"], group["TargetType"]) == ("/health/ready", 8080, "ip")


def test_the_cluster_is_observed_into_a_log_that_is_encrypted_and_forgets(production: Synthesis) -> None:
    (insights,) = production.only("AWS::ECS::Cluster", STACK)["ClusterSettings"]
    assert insights == {"Name": "containerInsights", "Value": "enhanced"}
    (cluster,) = production.resources("AWS::ECS::Cluster", STACK)
    named = [
        resource.properties["LogGroupName"]
        for resource in production.resources("AWS::Logs::LogGroup", STACK)
        if "LogGroupName" in resource.properties
    ]
    assert {
        "Fn::Join": ["", ["/aws/ecs/containerinsights/", {"Ref": cluster.logical_id}, "/performance"]]
    } in named


def test_operators_find_the_service_in_the_outputs(production: Synthesis) -> None:
    outputs = production.templates[STACK]["Outputs"]
    assert {"ClusterName", "ServiceName", "LoadBalancerDnsName"} <= set(outputs)


def test_a_replica_writes_only_kill_switches_evidence_and_lifecycles(production: Synthesis) -> None:
    """Whoever takes over a replica can put no other flag into force, and change no version's price."""
    (statements,) = (
        each.properties["PolicyDocument"]["Statement"]
        for each in production.resources("AWS::IAM::Policy", STACK)
        if "TaskRole" in str(each.properties["Roles"])
    )
    conditions = {
        (action, table): statement.get("Condition")
        for statement in statements
        for action in ("dynamodb:PutItem", "dynamodb:UpdateItem")
        for table in ("feature-flags", "AttTable", "AuditTable")
        if action in statement["Action"] and table in str(statement["Resource"])
    }

    def on_items(keys: str) -> dict[str, object]:
        return {
            "ForAllValues:StringLike": {"dynamodb:LeadingKeys": [keys]},
            "Null": {"dynamodb:LeadingKeys": "false"},
        }

    lifecycle = ["provider#model", "version", "lifecycle"]
    assert conditions == {
        ("dynamodb:PutItem", "feature-flags"): on_items("kill-switch.*"),
        ("dynamodb:UpdateItem", "feature-flags"): on_items("evidence#*"),
        ("dynamodb:PutItem", "AttTable"): None,
        ("dynamodb:UpdateItem", "AttTable"): {
            "ForAllValues:StringEquals": {"dynamodb:Attributes": lifecycle}
        },
        ("dynamodb:PutItem", "AuditTable"): None,
    }
