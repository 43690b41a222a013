"""Whoever holds a role can work with exactly what is deployed, and no permission is there for nothing."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError

from local.provider_secrets import secret_value
from tests.local.embedded_cloud import RunningCloud
from tests.privilege.holders import EXERCISES, SNAPSHOTS, Gateway, admin, as_role, outputs, running_gateway
from tests.privilege.mutations import DeployedRole, Mutation, deployed_roles, exercise, judge, mutations
from tests.privilege.policies import as_list, statements
from tests.stacks.synthesis import Synthesis

SAMPLE = 4
SEED = 20261121
ROTATION_S = 30


def role_of(cloud: RunningCloud, holder: str) -> DeployedRole:
    (role,) = [one for one in deployed_roles(cloud) if one.holder == holder]
    return role


def test_every_deployed_role_has_a_holder_at_work(embedded_cloud: RunningCloud) -> None:
    assert sorted(role.holder for role in deployed_roles(embedded_cloud)) == sorted(EXERCISES)


def test_what_is_deployed_is_what_was_synthesised(
    embedded_cloud: RunningCloud, synthesised: Callable[[str], Synthesis]
) -> None:
    declared = [one for one in statements(synthesised("local")) if one.of_a_role]
    deployed = [body for role in deployed_roles(embedded_cloud) for body in role.document["Statement"]]
    assert sorted(sorted(one.actions) for one in declared) == sorted(
        sorted(as_list(body["Action"])) for body in deployed
    )
    assert all(body["Resource"] and "${" not in json.dumps(body) for body in deployed)


@pytest.mark.parametrize("holder", EXERCISES)
def test_the_deployed_policy_is_enough(embedded_cloud: RunningCloud, holder: str) -> None:
    assert exercise(embedded_cloud, holder, f"enough-{holder.lower()}") == {}


def test_no_permission_of_the_sample_can_be_missed(embedded_cloud: RunningCloud) -> None:
    """`make test-privilege-mutations` takes away every one."""
    every = [one for role in deployed_roles(embedded_cloud) for one in mutations(role)]
    results = [
        judge(embedded_cloud, mutation, f"sample-{number}")
        for number, mutation in enumerate(random.Random(SEED).sample(every, SAMPLE))  # noqa: S311
    ]
    assert [
        f"{one.mutation.role.logical_id}: {one.mutation.removed} → {one.failed}"
        for one in results
        if not one.noticed
    ] == []


def test_a_permission_that_nobody_needs_is_found(embedded_cloud: RunningCloud) -> None:
    role = role_of(embedded_cloud, "GuardRole")
    idle = {"Effect": "Allow", "Action": "dynamodb:DeleteItem", "Resource": "*"}
    whole = {**role.document, "Statement": [*role.document["Statement"], idle]}
    widened = DeployedRole(role.logical_id, role.name, role.policy, whole)
    (mutation,) = [one for one in mutations(widened) if "DeleteItem" in one.removed]
    back = Mutation(role, mutation.kind, mutation.removed, mutation.document, mutation.expected)
    result = judge(embedded_cloud, back, "idle")
    assert result.failed == {}
    assert not result.noticed


def test_a_key_is_rotated_while_the_gateway_runs(embedded_cloud: RunningCloud) -> None:
    arn = outputs(embedded_cloud, "secrets")["ClientKeysSecretArn"]
    before = secret_value(embedded_cloud.account, arn)
    secrets = admin(embedded_cloud, "secretsmanager")
    with running_gateway(embedded_cloud) as process:
        after = {"current": "k" * 48, "previous": before["current"]}
        try:
            secrets.put_secret_value(SecretId=arn, SecretString=json.dumps(after))
            rotated = replace(process, client_key=after["current"])
            deadline = time.monotonic() + ROTATION_S
            while _status(rotated) != 200:
                assert time.monotonic() < deadline, "the new key is not accepted"
                time.sleep(0.2)
            assert _status(process) == 200
        finally:
            secrets.put_secret_value(SecretId=arn, SecretString=json.dumps(before))


def _status(process: Gateway) -> int:
    try:
        return process.ask("GET", "/v1/models")[0]
    except OSError:
        return 0


FOUNDATION_MODEL = "anthropic.claude-haiku-4-5-20251001-v1:0"


@pytest.mark.parametrize(
    "model",
    [FOUNDATION_MODEL, f"us.{FOUNDATION_MODEL}", f"global.{FOUNDATION_MODEL}", "eu.amazon.nova-pro-v1:0"],
)
def test_a_model_is_invoked_through_its_declared_profile_only(
    embedded_cloud: RunningCloud, model: str
) -> None:
    role = admin(embedded_cloud, "iam").get_role(RoleName=role_of(embedded_cloud, "TaskRole").name)["Role"]
    bedrock = as_role(embedded_cloud.account, role["Arn"], "bedrock-runtime")
    with pytest.raises(ClientError, match="AccessDenied"):
        bedrock.converse(modelId=model, messages=[{"role": "user", "content": [{"text": "Good day"}]}])


def test_nobody_else_reads_a_providers_key_whatever_its_own_policy_allows(
    embedded_cloud: RunningCloud,
) -> None:
    role = role_of(embedded_cloud, "GuardRole")
    allowing = {
        "Effect": "Allow",
        "Action": ["secretsmanager:GetSecretValue", "kms:Decrypt"],
        "Resource": "*",
    }
    identities = admin(embedded_cloud, "iam")
    arn = identities.get_role(RoleName=role.name)["Role"]["Arn"]
    secrets = as_role(embedded_cloud.account, arn, "secretsmanager")
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowing]})
    identities.put_role_policy(RoleName=role.name, PolicyName="curious", PolicyDocument=document)
    try:
        keys = outputs(embedded_cloud, "secrets")
        assert secrets.get_secret_value(SecretId=keys["ClientKeysSecretArn"])["SecretString"]
        for name in ("GoogleSecretArn", "LlamaSecretArn"):
            with pytest.raises(ClientError, match="explicit deny in a resource-based policy"):
                secrets.get_secret_value(SecretId=keys[name])
    finally:
        identities.delete_role_policy(RoleName=role.name, PolicyName="curious")


def test_nobody_uses_a_key_but_through_its_service(embedded_cloud: RunningCloud) -> None:
    role = role_of(embedded_cloud, "GuardRole")
    identities = admin(embedded_cloud, "iam")
    arn = identities.get_role(RoleName=role.name)["Role"]["Arn"]
    allowing = {"Effect": "Allow", "Action": "kms:GenerateDataKey", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowing]})
    identities.put_role_policy(RoleName=role.name, PolicyName="curious", PolicyDocument=document)
    try:
        keys = as_role(embedded_cloud.account, arn, "kms")
        for key in admin(embedded_cloud, "kms").list_keys()["Keys"]:
            with pytest.raises(ClientError, match="AccessDenied"):
                keys.generate_data_key(KeyId=key["KeyArn"], KeySpec="AES_256")
    finally:
        identities.delete_role_policy(RoleName=role.name, PolicyName="curious")


def test_every_store_of_the_gateway_is_looked_at(embedded_cloud: RunningCloud) -> None:
    """A store that is added needs a permission, and a check here; credentials come without one."""
    with running_gateway(embedded_cloud) as process:
        deadline = time.monotonic() + ROTATION_S
        while _status(process) != 200:
            assert time.monotonic() < deadline, "the gateway does not start"
            time.sleep(0.1)
        _status_code, text = process.ask("GET", "/metrics")
    stores = set(re.findall(r'gateway_snapshot_failures_total{snapshot="(\w+)"}', text))
    assert stores == {*SNAPSHOTS, "bedrock_credentials"}
