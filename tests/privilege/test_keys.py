"""Each key serves one purpose, through the service that holds the data."""

from __future__ import annotations

import pytest

from stacks.constructs.encryption_key import ADMINISTRATION
from tests.privilege.policies import Statement, statements
from tests.stacks.synthesis import Synthesis

CRYPTOGRAPHY = {
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
}

PURPOSES = {
    "Network/FlowLogKey": "logs.eu-central-1.amazonaws.com",
    "Secrets/SecretsKey": "secretsmanager.eu-central-1.amazonaws.com",
    "Secrets/TableKey": "dynamodb.eu-central-1.amazonaws.com",
    "Secrets/LogKey": "logs.eu-central-1.amazonaws.com",
    "Guardrails/Key": "bedrock.eu-central-1.amazonaws.com",
    "Cache/Key": "elasticache.eu-central-1.amazonaws.com",
    "FeatureFlags/KillSwitch/TopicKey": "cloudwatch.amazonaws.com",
    "Monitoring/AlarmTopicKey": "cloudwatch.amazonaws.com",
}
"""Key → the one service that encrypts with it."""


def key_statements(synthesis: Synthesis) -> dict[str, list[Statement]]:
    """Statements by the path of their key."""
    found: dict[str, list[Statement]] = {}
    for statement in statements(synthesis):
        if statement.resource.type == "AWS::KMS::Key":
            path = statement.resource.body["Metadata"]["aws:cdk:path"].removesuffix("/Resource")
            found.setdefault(path, []).append(statement)
    return found


def service(statement: Statement) -> str | None:
    """The service a statement is for: the one that calls by itself, or the one that has to be called."""
    principal: str | None = statement.body.get("Principal", {}).get("Service")
    through: str | None = statement.body.get("Condition", {}).get("StringEquals", {}).get("kms:ViaService")
    return principal or through


def test_every_key_has_one_purpose(every_variant: Synthesis) -> None:
    purposes = {
        path: {name for statement in found if (name := service(statement))}
        for path, found in key_statements(every_variant).items()
    }
    assert purposes == {path: {name} for path, name in PURPOSES.items()}


def test_nobody_encrypts_or_decrypts_but_through_that_service(every_variant: Synthesis) -> None:
    assert [
        statement.name
        for found in key_statements(every_variant).values()
        for statement in found
        if CRYPTOGRAPHY & set(statement.actions) and service(statement) is None
    ] == []


def test_services_act_for_this_account_alone(every_variant: Synthesis) -> None:
    account = every_variant.environment.deployment.account
    for found in key_statements(every_variant).values():
        for statement in found:
            if "Service" in statement.body["Principal"]:
                assert account in str(statement.body["Condition"]), statement.name


def test_grants_go_to_services_only(every_variant: Synthesis) -> None:
    for found in key_statements(every_variant).values():
        for statement in found:
            if "kms:CreateGrant" in statement.actions:
                assert statement.body["Condition"]["Bool"] == {"kms:GrantIsForAWSResource": "true"}
                assert service(statement), statement.name


def test_the_account_can_administer_every_key_and_change_its_policy(every_variant: Synthesis) -> None:
    account = every_variant.environment.deployment.account
    for path, found in key_statements(every_variant).items():
        (administration,) = [one for one in found if "kms:PutKeyPolicy" in one.actions]
        assert administration.body["Principal"] == {"AWS": f"arn:aws:iam::{account}:root"}, path
        assert set(administration.actions) == set(ADMINISTRATION), path
        assert not CRYPTOGRAPHY & set(administration.actions), path


def test_roles_use_keys_only_through_their_service(every_variant: Synthesis) -> None:
    using = [
        statement
        for statement in statements(every_variant)
        if statement.of_a_role and any(action.startswith("kms:") for action in statement.actions)
    ]
    assert using
    for statement in using:
        # Whoever writes a secret has it encrypted as well; tables are written by decrypting their key.
        writes_secrets = "EncryptAndDecryptItsSecrets" in statement.name
        allowed = ["kms:Decrypt", "kms:GenerateDataKey"] if writes_secrets else ["kms:Decrypt"]
        assert statement.actions == allowed, statement.name
        assert service(statement) in PURPOSES.values(), statement.name


@pytest.mark.parametrize("provider", ["Google", "Llama"])
def test_nobody_but_the_gateway_and_the_rotation_reads_a_providers_key(
    every_variant: Synthesis, provider: str
) -> None:
    if not getattr(every_variant.environment.providers, provider.lower()).enabled:
        pytest.skip(f"{provider} is disabled in {every_variant.environment.name}")
    (policy,) = [
        resource.properties
        for resource in every_variant.resources("AWS::SecretsManager::ResourcePolicy", "Gateway")
        if provider in resource.logical_id
    ]
    (statement,) = policy["ResourcePolicy"]["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Principal"] == {"AWS": "*"}
    assert statement["Action"] == "secretsmanager:GetSecretValue"
    gateway, rotation = statement["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]
    assert gateway["Fn::GetAtt"][0].startswith("TaskRole")
    assert "RotationRole" in rotation["Fn::GetStackOutput"]["OutputName"]
    assert policy["BlockPublicPolicy"] is True
