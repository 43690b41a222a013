"""The flag database where the setting is on, and that nothing of it is there where it is off."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from stacks.constructs.flag_migrations import DRIVER, MIGRATION_TOOL
from stacks.constructs.python_layer import copy_sources
from stacks.settings import Environment
from tests.stacks.review import review as review_of
from tests.stacks.synthesis import ROOT, Resource, Synthesis, load_environment, synthesise
from tests.stacks.test_endpoint_policies import ENDPOINTS_OF_A_SERVICE, actions, as_list, policies
from tests.stacks.test_security_groups import one_sided, rules

PORT = (5433, 5433)
NEWEST_PYTHON = {"python_version": "3.13", "python_full_version": "3.13.0", "platform_machine": "aarch64"}


def with_a_database(name: str) -> Environment:
    environment = load_environment(name)
    flags = environment.flags.model_copy(update={"database": True})
    return environment.model_copy(update={"flags": flags})


@pytest.fixture(scope="module")
def on(tmp_path_factory: pytest.TempPathFactory) -> Synthesis:
    """Production with the setting on."""
    return synthesise(with_a_database("production"), tmp_path_factory.mktemp("database") / "production")


@pytest.fixture(scope="module")
def unprotected(tmp_path_factory: pytest.TempPathFactory) -> Synthesis:
    return synthesise(with_a_database("local"), tmp_path_factory.mktemp("database") / "local")


def function(synthesis: Synthesis, name: str) -> Resource:
    (found,) = [
        each
        for each in synthesis.resources("AWS::Lambda::Function")
        if each.properties["Handler"] == f"lambdas.{name}.handler.handler"
    ]
    return found


def statements(synthesis: Synthesis, role: str) -> list[dict[str, Any]]:
    return [
        statement
        for policy in synthesis.resources("AWS::IAM::Policy")
        if any(each.get("Ref") == role for each in policy.properties["Roles"])
        for statement in policy.properties["PolicyDocument"]["Statement"]
    ]


def variables(synthesis: Synthesis) -> dict[str, Any]:
    (container,) = synthesis.only("AWS::ECS::TaskDefinition")["ContainerDefinitions"]
    return {each["Name"]: each["Value"] for each in container["Environment"]}


def own_key(synthesis: Synthesis) -> Resource:
    (key,) = [
        each
        for each in synthesis.resources("AWS::KMS::Key", "FeatureFlags")
        if each.body["Metadata"]["aws:cdk:path"] == "FeatureFlags/Database/Key/Resource"
    ]
    return key


def test_nothing_of_it_is_there_where_the_setting_is_off(every_environment: Synthesis) -> None:
    assert [each.name for each in every_environment.resources() if each.type.startswith("AWS::RDS::")] == []
    assert every_environment.resources("AWS::Lambda::LayerVersion") == []
    text = json.dumps(dict(every_environment.templates))
    assert "rds-db:connect" not in text
    assert "FLAG_DATABASE_" not in text
    assert "AnswersToCloudFormation" not in text


@pytest.mark.parametrize("name", ["production", "local"])
def test_every_rule_of_every_pack_is_kept_or_its_breach_has_a_reason(name: str, tmp_path: Path) -> None:
    review = review_of(with_a_database(name), tmp_path)
    assert [f"{one.rule} at {one.path}: {one.description}" for one in review.open] == []
    assert [f"{one.finding} at {one.path}" for one in review.stale] == []


def test_it_is_encrypted_with_its_own_key_and_let_in_by_iam_over_tls(on: Synthesis) -> None:
    cluster = on.only("AWS::RDS::DBCluster")
    key = own_key(on)
    arn = {"Fn::GetAtt": [key.logical_id, "Arn"]}
    assert cluster["StorageEncrypted"] is True
    assert cluster["KmsKeyId"] == arn
    assert cluster["MasterUserSecret"] == {"KmsKeyId": arn}
    assert cluster["ManageMasterUserPassword"] is True
    assert "MasterUserPassword" not in cluster
    assert cluster["EnableIAMDatabaseAuthentication"] is True
    parameters = on.only("AWS::RDS::DBClusterParameterGroup")
    assert parameters["Parameters"]["rds.force_ssl"] == "1"
    assert parameters["Parameters"]["ssl_min_protocol_version"] == "TLSv1.2"
    assert parameters["Family"] == f"aurora-postgresql{cluster['EngineVersion'].split('.')[0]}"


def test_the_key_opens_through_rds_and_the_master_users_secret_alone(on: Synthesis) -> None:
    key = own_key(on)
    doors = {
        statement["Condition"]["StringEquals"]["kms:ViaService"]
        for statement in key.properties["KeyPolicy"]["Statement"]
        if "kms:Decrypt" in statement["Action"]
    }
    assert doors == {"rds.eu-central-1.amazonaws.com", "secretsmanager.eu-central-1.amazonaws.com"}


def test_it_follows_the_settings(on: Synthesis, unprotected: Synthesis) -> None:
    for synthesis, protected in ((on, True), (unprotected, False)):
        settings = synthesis.environment.flags
        cluster = synthesis.only("AWS::RDS::DBCluster")
        assert cluster["ServerlessV2ScalingConfiguration"] == {
            "MinCapacity": settings.database_minimum_capacity,
            "MaxCapacity": settings.database_maximum_capacity,
        }
        assert cluster["BackupRetentionPeriod"] == settings.database_backup_days
        assert cluster["DeletionProtection"] is protected
        instances = synthesis.resources("AWS::RDS::DBInstance")
        zones = [each.properties["AvailabilityZone"] for each in instances]
        assert len(zones) == len(set(zones)) == settings.database_instances
        kept = "Retain" if protected else "Delete"
        types = ("DBCluster", "DBInstance", "DBSubnetGroup", "DBClusterParameterGroup")
        parts = [each for name in types for each in synthesis.resources(f"AWS::RDS::{name}")]
        assert {each.body["DeletionPolicy"] for each in parts} == {kept}


def test_it_has_no_way_out_and_no_address(on: Synthesis) -> None:
    subnets = on.only("AWS::RDS::DBSubnetGroup")["SubnetIds"]
    assert len(subnets) == 3
    assert all("isolated" in str(subnet) for subnet in subnets)
    for instance in on.resources("AWS::RDS::DBInstance"):
        assert instance.properties["PubliclyAccessible"] is False
        assert instance.properties["DBInstanceClass"] == "db.serverless"


def test_its_certificate_ends_in_a_root_that_clients_trust(on: Synthesis) -> None:
    roots = (ROOT / "gateway_image/gateway/control/rds_roots.pem").read_text()
    for instance in on.resources("AWS::RDS::DBInstance"):
        kind = (
            instance.properties["CACertificateIdentifier"].removeprefix("rds-ca-").upper().replace("-", " ")
        )
        assert f"Amazon RDS eu-central-1 Root CA {kind}," in roots


def test_its_log_is_ours_before_the_first_instance_writes_it(on: Synthesis) -> None:
    (log,) = [
        each
        for each in on.resources("AWS::Logs::LogGroup", "FeatureFlags")
        if "/aws/rds/cluster/" in json.dumps(each.properties.get("LogGroupName", ""))
    ]
    assert "KmsKeyId" in log.properties
    assert log.properties["RetentionInDays"] == on.environment.gateway.log_retention_days
    assert on.only("AWS::RDS::DBCluster")["EnableCloudwatchLogsExports"] == ["postgresql"]
    for instance in on.resources("AWS::RDS::DBInstance"):
        assert log.logical_id in instance.body["DependsOn"]


def test_only_tasks_and_functions_of_the_flags_reach_it(on: Synthesis) -> None:
    assert one_sided(on) == []
    reaching = {rule.group for rule in rules(on) if rule.direction == "out" and "Database" in rule.peer}
    assert reaching == {
        "Gateway/TaskSecurityGroup",
        "FeatureFlags/MigrationsSecurityGroup",
        "FeatureFlags/UpdateSecurityGroup",
    }
    inward = [rule for rule in rules(on) if rule.group == "FeatureFlags/Database/SecurityGroup"]
    assert {(rule.direction, rule.ports) for rule in inward} == {("in", PORT)}


def test_the_gateway_may_connect_as_the_reader_of_this_cluster_alone(on: Synthesis) -> None:
    role = on.only("AWS::ECS::TaskDefinition")["TaskRoleArn"]["Fn::GetAtt"][0]
    (resource,) = [
        statement["Resource"] for statement in statements(on, role) if statement["Action"] == "rds-db:connect"
    ]
    text = json.dumps(resource)
    assert re.search(r'"arn:aws:rds-db:eu-central-1:333333333333:dbuser:", \{"Fn::', text)
    assert text.rstrip("]}").endswith('"/flag_reader"')
    assert "*" not in text


def test_the_gateway_is_told_where_it_is(on: Synthesis) -> None:
    told = variables(on)
    assert "EndpointPort" in str(told["FLAG_DATABASE_PORT"])
    assert on.only("AWS::RDS::DBCluster")["Port"] == PORT[0]
    assert told["FLAG_DATABASE_NAME"] == on.only("AWS::RDS::DBCluster")["DatabaseName"] == "flags"
    assert told["FLAG_DATABASE_USER"] == "flag_reader"
    assert "FLAG_DATABASE_HOST" in told
    assert "FLAG_DATABASE_ROOTS" not in told


def test_every_deploy_with_a_new_migration_migrates_after_the_database_stands(on: Synthesis) -> None:
    (migrated,) = [
        each
        for each in on.resources("AWS::CloudFormation::CustomResource", "FeatureFlags")
        if "Migrations" in each.properties
    ]
    instances = {each.logical_id for each in on.resources("AWS::RDS::DBInstance")}
    assert instances <= set(migrated.body["DependsOn"])
    assert migrated.properties["ServiceTimeout"] > function(on, "flag_database").properties["Timeout"]
    digest = hashlib.sha256()
    for file in sorted((ROOT / "lambdas/flag_database/migrations/versions").glob("*.py")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    assert migrated.properties["Migrations"] == digest.hexdigest()


def test_the_migrating_function_reads_the_master_users_secret_and_nothing_else(on: Synthesis) -> None:
    migrating = function(on, "flag_database")
    role = migrating.properties["Role"]["Fn::GetAtt"][0]
    allowed = {
        action: json.dumps(statement["Resource"])
        for statement in statements(on, role)
        if statement["Effect"] == "Allow"
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
        if not action.startswith(("ec2:", "logs:"))
    }
    assert set(allowed) == {"secretsmanager:GetSecretValue", "kms:Decrypt"}
    assert "MasterUserSecret.SecretArn" in allowed["secretsmanager:GetSecretValue"]
    assert "Environment" not in migrating.properties


def test_the_way_to_answer_cloudformation_is_open_for_that_bucket_alone(on: Synthesis) -> None:
    policies = [
        statement
        for endpoint in on.resources("AWS::EC2::VPCEndpoint", "Network")
        for statement in endpoint.properties["PolicyDocument"]["Statement"]
        if statement.get("Sid") == "AnswersToCloudFormation"
    ]
    assert [(each["Action"], each["Resource"]) for each in policies] == [
        ("s3:PutObject", "arn:aws:s3:::cloudformation-custom-resource-response-eucentral1/*")
    ]


@pytest.mark.parametrize("name", ["flag_update", "flag_database"])
def test_what_the_functions_in_the_network_call_passes_its_endpoint(on: Synthesis, name: str) -> None:
    in_the_network = function(on, name)
    assert "VpcConfig" in in_the_network.properties
    role = in_the_network.properties["Role"]["Fn::GetAtt"][0]
    called = {
        action
        for statement in statements(on, role)
        if statement["Effect"] == "Allow" and "kms:ViaService" not in str(statement.get("Condition"))
        for action in as_list(statement["Action"])
        if not action.startswith(("ec2:", "rds-db:"))
    }
    allowed = policies(on)
    refused = {
        f"{action} at the endpoint {endpoint}"
        for action in called
        for endpoint in ENDPOINTS_OF_A_SERVICE[action.split(":")[0]]
        if action not in actions(allowed[endpoint])
    }
    assert called
    assert refused == set(), "name the action in stacks/constructs/endpoint_policies.py"


def test_the_flag_function_writes_as_the_writer_and_has_the_driver(on: Synthesis) -> None:
    update = function(on, "flag_update")
    told = update.properties["Environment"]["Variables"]
    assert told["FLAG_DATABASE_USER"] == "flag_writer"
    assert len(update.properties["Layers"]) == 1
    (resource,) = [
        json.dumps(statement["Resource"])
        for statement in statements(on, update.properties["Role"]["Fn::GetAtt"][0])
        if statement["Action"] == "rds-db:connect"
    ]
    assert resource.rstrip("]}").endswith('"/flag_writer"')
    assert "lambdas/database_connection.py" in contents(on, update)
    assert "gateway_image/gateway/control/rds_roots.pem" in contents(on, update)


# ---- the layers ----


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("layer")
    copy_sources([*DRIVER, *MIGRATION_TOOL], folder)
    return folder


def test_a_layer_holds_sources_alone(layer: Path) -> None:
    suffixes = {file.suffix for file in layer.rglob("*") if file.is_file()}
    assert ".py" in suffixes
    assert suffixes.isdisjoint({".so", ".pyd", ".dylib", ".a", ".pyc", ".exe", ".pyx", ".c"})
    assert not [file for file in layer.rglob("*") if file.is_file() and file.read_bytes()[:4] == b"\x7fELF"]


def test_the_authors_licences_go_with_it(layer: Path) -> None:
    named = {file.parent.parent.name.split("-")[0] for file in layer.rglob("licenses/*")}
    assert len(named) >= 6


@pytest.mark.parametrize("together", [DRIVER, (*DRIVER, *MIGRATION_TOOL)], ids=["driver", "migrations"])
def test_what_a_layer_needs_is_in_it(together: tuple[str, ...]) -> None:
    def known(name: str) -> str:
        return name.lower().replace("_", "-")

    needed = {
        known(requirement.name)
        for name in together
        for requirement in map(Requirement, distribution(name).requires or ())
        if requirement.marker is None or requirement.marker.evaluate({"extra": "", **NEWEST_PYTHON})
    }
    assert needed - {known(name) for name in together} == set()


def test_it_is_the_same_every_time(on: Synthesis, unprotected: Synthesis) -> None:
    keys = [
        {each.properties["Content"]["S3Key"] for each in synthesis.resources("AWS::Lambda::LayerVersion")}
        for synthesis in (on, unprotected)
    ]
    assert keys[0] == keys[1]
    assert len(keys[0]) == 2


def test_it_fits_into_a_function(layer: Path) -> None:
    unzipped = sum(file.stat().st_size for file in layer.rglob("*") if file.is_file())
    assert unzipped < 50 * 2**20, "a function and its layers have 250 MiB"


def test_the_functions_code_runs_from_the_layer_without_what_is_installed(on: Synthesis, layer: Path) -> None:
    """An interpreter that sees the assets alone, as Lambda's does; boto3 is what Lambda brings along."""
    code = on.directory / asset_folder(function(on, "flag_database"))
    script = f"""
import sys
sys.path[:] = [path for path in sys.path if "site-packages" not in path]
sys.path[:0] = [{str(code)!r}, {str(layer / "python")!r}]
sys.modules["boto3"] = type(sys)("boto3")
from lambdas.flag_database import handler, migration
import pg8000.dbapi, sqlalchemy, alembic.command
from alembic.script import ScriptDirectory
assert all({str(layer)!r} in module.__file__ for module in (pg8000, sqlalchemy, alembic))
assert ScriptDirectory.from_config(migration._config(migration.MIGRATIONS)).get_current_head() == "0001"
assert handler.RDS_ROOTS.exists(), handler.RDS_ROOTS
assert not [name for name in sys.modules if getattr(sys.modules[name], "__file__", None)
            and {str(layer)!r} in sys.modules[name].__file__ and sys.modules[name].__file__.endswith(".so")]
from sqlalchemy.dialects.postgresql import pg8000 as dialect
"""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def contents(synthesis: Synthesis, resource: Resource) -> set[str]:
    folder = synthesis.directory / asset_folder(resource)
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def asset_folder(resource: Resource) -> str:
    key: str = resource.properties["Code"]["S3Key"]
    return f"asset.{key.removesuffix('.zip')}"
