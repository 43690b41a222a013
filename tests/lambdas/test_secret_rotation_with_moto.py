"""Whole rotations through boto3's own client against moto, and through sockets to the simulated providers.

Where moto is more lenient than AWS, `strict_vault` is not: see `test_moto_and_the_strict_vault_agree`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.secretsmanager.models import secretsmanager_backends

from lambdas.secret_rotation.handler import handler
from lambdas.secret_rotation.refusal import RotationError
from tests.lambdas.rotation_world import KINDS, STEPS
from tests.lambdas.simulated_key_makers import Answer, SimulatedAdministration, SimulatedGoogle, served
from tests.lambdas.strict_vault import CURRENT, PENDING, PREVIOUS, StrictVault

if TYPE_CHECKING:
    from types_boto3_secretsmanager.client import SecretsManagerClient

TOKEN = "0123456789abcdef0123456789abcdef0123"


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[SecretsManagerClient]:
    for name, value in {
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "SIMULATED_PROVIDERS": "true",
    }.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        yield boto3.client("secretsmanager")


def start_rotation(name: str, token: str) -> None:
    """What RotateSecret does first: a version without a value. moto's own calls no function but its own."""
    secret = secretsmanager_backends["123456789012"]["eu-central-1"].secrets[name]
    secret.versions[token] = {
        "createdate": int(time.time()),
        "version_id": token,
        "version_stages": [PENDING],
    }


def labels(client: SecretsManagerClient, arn: str) -> dict[str, str]:
    stages = client.describe_secret(SecretId=arn)["VersionIdsToStages"]
    return {label: version for version, names in stages.items() for label in names}


def value(client: SecretsManagerClient, arn: str, version: str) -> dict[str, Any]:
    return dict(json.loads(client.get_secret_value(SecretId=arn, VersionId=version)["SecretString"]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_rotation_and_the_sweeps_after_it(
    kind: str, client: SecretsManagerClient, capsys: pytest.CaptureFixture[str]
) -> None:
    with served() as (origin, answers):
        google, administration = SimulatedGoogle(origin), SimulatedAdministration(origin)

        def answer(method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
            of_google = kind == "google_service_account"
            return (google if of_google else administration).answer(method, url, headers, body)

        answers.append(answer)
        first: dict[str, dict[str, str]] = {
            "generated_keys": {"current": "the-first-generated-key", "previous": ""},
            "google_service_account": google.new_key_file(),
            "api_key_by_administration": {"api_key": administration.new_key()},
            "api_key_by_hand": {"api_key": administration.new_key()},
        }
        administrator = client.create_secret(
            Name="administration", SecretString=json.dumps({"admin_key": administration.admin_key})
        )["ARN"]
        arn = client.create_secret(Name="rotated", SecretString=json.dumps(first[kind]))["ARN"]
        members: dict[str, dict[str, object]] = {
            "generated_keys": {"overlap_s": 0},
            "google_service_account": {"iam_base_url": origin, "grace_s": 0},
            "api_key_by_administration": {
                "administration_url": administration.url,
                "administration_secret": administrator,
                "test_url": administration.test_url,
                "grace_s": 0,
            },
            "api_key_by_hand": {"test_url": administration.test_url},
        }
        declared = {"name": "rotated", "kind": kind, "provider": "any", **members[kind]}
        variables = {"ENVIRONMENT": "test", "ROTATED_SECRETS": json.dumps({arn: declared})}
        if kind == "api_key_by_hand":
            client.put_secret_value(
                SecretId=arn,
                ClientRequestToken=TOKEN,
                SecretString=json.dumps({"api_key": administration.new_key()}),
                VersionStages=[PENDING],
            )
        else:
            start_rotation("rotated", TOKEN)
        for step in STEPS:
            handler({"SecretId": arn, "ClientRequestToken": TOKEN, "Step": step}, None, variables=variables)
        assert labels(client, arn)[CURRENT] == TOKEN
        assert PENDING not in labels(client, arn)
        for _ in range(2):
            handler({"sweep": True}, None, variables=variables)
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [line["Failures"] for line in lines] == [0] * 6
        last = value(client, arn, labels(client, arn)[CURRENT])
        if kind == "generated_keys":
            assert last["previous"] == ""
        if kind == "google_service_account":
            assert set(google.keys) == {last["private_key_id"]}
        if kind == "api_key_by_administration":
            assert set(administration.accounts) == {"svc_acct_other", last["key_id"]}


def test_moto_and_the_strict_vault_agree(client: SecretsManagerClient) -> None:
    """On everything that the rotation relies on, refusals included."""
    arn = client.create_secret(
        Name="rotated", SecretString="1", ClientRequestToken="first-version-00000000000000000000"
    )["ARN"]
    strict = StrictVault(time.time)
    strict.create(arn, "1")
    second, third = "second-version-0000000000000000000", "third-version-00000000000000000000"
    script: list[Callable[[Any], Any]] = [
        lambda vault: vault.get_secret_value(SecretId=arn, VersionId=second),
        lambda vault: vault.put_secret_value(
            SecretId=arn, ClientRequestToken=second, SecretString="2", VersionStages=[PENDING]
        ),
        lambda vault: vault.put_secret_value(
            SecretId=arn, ClientRequestToken=third, SecretString="3", VersionStages=[PENDING]
        ),
        lambda vault: vault.update_secret_version_stage(
            SecretId=arn, VersionStage=CURRENT, MoveToVersionId=third, RemoveFromVersionId=second
        ),
        lambda vault: vault.update_secret_version_stage(
            SecretId=arn, VersionStage=PENDING, RemoveFromVersionId=second
        ),
        lambda vault: vault.update_secret_version_stage(
            SecretId=arn,
            VersionStage=CURRENT,
            MoveToVersionId=third,
            RemoveFromVersionId="first-version-00000000000000000000",
        ),
        lambda vault: vault.update_secret_version_stage(
            SecretId=arn, VersionStage=PENDING, RemoveFromVersionId=third
        ),
        lambda vault: vault.put_secret_value(
            SecretId=arn, ClientRequestToken=third, SecretString="another", VersionStages=[PENDING]
        ),
        lambda vault: vault.put_secret_value(
            SecretId=arn, ClientRequestToken=third, SecretString="3", VersionStages=[PENDING]
        ),
        lambda vault: vault.update_secret_version_stage(
            SecretId=arn,
            VersionStage=PREVIOUS,
            RemoveFromVersionId="first-version-00000000000000000000",
        ),
        lambda vault: vault.tag_resource(SecretId=arn, Tags=[{"Key": "a", "Value": "b"}]),
        lambda vault: vault.tag_resource(SecretId=arn, Tags=[{"Key": "a", "Value": ""}]),
    ]
    for number, call in enumerate(script):
        assert code_of(call, client) == code_of(call, strict), f"call {number}"
        assert labels(client, arn) == labels(strict, arn), f"after call {number}"  # type: ignore[arg-type]
    assert client.describe_secret(SecretId=arn)["Tags"] == strict.describe_secret(SecretId=arn)["Tags"]


def code_of(call: Callable[[Any], Any], vault: object) -> str:
    try:
        call(vault)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def test_without_a_vault_the_reason_is_told(client: SecretsManagerClient) -> None:
    arn = client.create_secret(Name="rotated", SecretString="{}")["ARN"]
    client.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
    declared = {"name": "rotated", "kind": "generated_keys", "provider": "gateway", "overlap_s": 0}
    variables = {"ENVIRONMENT": "test", "ROTATED_SECRETS": json.dumps({arn: declared})}
    event = {"SecretId": arn, "ClientRequestToken": TOKEN, "Step": "createSecret"}
    with pytest.raises(RotationError, match="AWS refused DescribeSecret: ResourceNotFoundException"):
        handler(event, None, variables=variables)
