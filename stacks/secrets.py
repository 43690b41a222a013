"""Secrets: the keys that data is encrypted with, the gateway's own keys, and the providers' credentials."""

from __future__ import annotations

import json

import aws_cdk as cdk
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from stacks.acknowledgements import Pack, acknowledge, in_packs
from stacks.constructs.encrypted_log_group import allow_log_groups
from stacks.constructs.encryption_key import EncryptionKey, Holder
from stacks.environment_stack import EnvironmentStack
from stacks.settings import Environment

KEY_CHARACTERS = 48
"""Length of a generated key: letters and digits, 285 bits."""


class SecretsStack(EnvironmentStack):
    """Owns three keys (secrets, tables, logs) and four secrets, each one JSON object.

    Client and admin keys are born with a generated `current`. The providers' secrets are born empty and
    set by the operator; later deploys leave every value alone.
    """

    def __init__(self, scope: Construct, construct_id: str, *, environment: Environment) -> None:
        super().__init__(
            scope,
            construct_id,
            environment=environment,
            description="Encryption keys, the AI gateway's own keys, and the providers' credentials",
            stateful=True,
        )
        self.secrets_key = self._key(
            "SecretsKey", "Encrypts the secrets of the AI gateway", Holder.SECRETS_MANAGER
        )
        self.table_key = self._key("TableKey", "Encrypts the tables of the AI gateway", Holder.DYNAMODB)
        self.log_key = self._key("LogKey", "Encrypts the log groups of the AI gateway", None)
        allow_log_groups(self.log_key)
        self.client_keys = self._generated("ClientKeys", "Keys that applications call the gateway with")
        self.admin_keys = self._generated("AdminKeys", "Keys that operators administer the gateway with")
        self.google = self._set_by_operator("Google", "Google service-account key")
        self.llama = self._set_by_operator("Llama", "API key of the Llama endpoint")

    def _key(self, construct_id: str, description: str, holder: Holder | None) -> EncryptionKey:
        return EncryptionKey(
            self, construct_id, description=description, removal_policy=self.removal_policy, holder=holder
        )

    def _generated(self, construct_id: str, description: str) -> secretsmanager.Secret:
        secret = secretsmanager.Secret(
            self,
            construct_id,
            description=description,
            encryption_key=self.secrets_key.policy_as_is,
            removal_policy=self.removal_policy,
            generate_secret_string=secretsmanager.SecretStringGenerator(
                secret_string_template=json.dumps({"previous": ""}),
                generate_string_key="current",
                password_length=KEY_CHARACTERS,
                exclude_punctuation=True,
            ),
        )
        self._publish(secret)
        return secret

    def _set_by_operator(self, construct_id: str, description: str) -> secretsmanager.Secret:
        secret = secretsmanager.Secret(
            self,
            construct_id,
            description=f"{description}; empty until an operator sets it",
            encryption_key=self.secrets_key.policy_as_is,
            removal_policy=self.removal_policy,
            secret_object_value={},
        )
        self._publish(secret)
        return secret

    def _publish(self, secret: secretsmanager.Secret) -> None:
        cdk.CfnOutput(self, f"{secret.node.id}SecretArn", value=secret.secret_arn)
        acknowledge(
            secret,
            "AwsSolutions-SMG4",
            *in_packs("SecretsManagerRotationEnabled", Pack.NIST, Pack.HIPAA),
            reason="Operators rotate by hand, without a restart: the current and the previous key are both "
            "accepted. A provider's key is only renewed at the provider.",
        )
