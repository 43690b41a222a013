"""Secrets: the keys that data is encrypted with, the gateway's own keys, and the providers' credentials."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from stacks.acknowledgements import Pack, acknowledge, in_packs
from stacks.constructs.encrypted_log_group import allow_log_groups
from stacks.constructs.encryption_key import EncryptionKey, Holder
from stacks.constructs.only_readers import only_read_by
from stacks.constructs.secret_rotation import BY_HAND, RotatedSecret, SecretRotation
from stacks.environment_stack import EnvironmentStack
from stacks.settings import GOOGLE_IAM_HOST, Environment

KEY_CHARACTERS = 48
"""Length of a generated key: letters and digits, 285 bits."""

SECONDS_AN_HOUR = 3600

ON_REQUEST = (
    "The environment's settings have it rotate when an operator asks, by the same function; its age "
    "is watched."
)
PUT_BY_PEOPLE = (
    "Nothing at the provider makes such a key: a person puts each new one under AWSPENDING, the rotation "
    "tests and promotes it, and its age is watched."
)
UNUSED = "The provider is disabled in this environment: the secret is empty and nobody reads it."


class SecretsStack(EnvironmentStack):
    """Owns three keys (secrets, tables, logs), the secrets, each one JSON object, and their rotation.

    Client and admin keys are born with a generated `current`. The providers' secrets are born empty and
    set by the operator; later deploys leave every value alone. The rotation runs in the network, because
    it calls the providers.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        vpc: ec2.IVpc,
        subnets: Sequence[ec2.ISubnet],
        endpoint_security_group: ec2.ISecurityGroup,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            environment=environment,
            description="Encryption keys, the AI gateway's own keys, providers' credentials, their rotation",
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
        self.llama_administration = (
            self._set_by_operator("LlamaAdministration", "Key of the Llama endpoint's administrator")
            if environment.providers.llama.key_administration_url
            else None
        )
        self.rotated = tuple(self._rotated())
        self.rotation = SecretRotation(
            self,
            "Rotation",
            environment_name=environment.name,
            rotated=self.rotated,
            secrets_key=self.secrets_key,
            vpc=vpc,
            subnets=subnets,
            endpoints=endpoint_security_group,
            log=self.function_log(self.log_key),
        )
        cdk.CfnOutput(self, "RotationFunctionName", value=self.rotation.function.function_name)
        if self.llama_administration is not None:
            only_read_by([self.rotation.role], self.llama_administration)
        self._accept_what_no_clock_rotates()

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

    def _rotated(self) -> Iterator[RotatedSecret]:
        """The secrets of whatever is enabled, and how each is replaced."""
        environment = self.environment_settings
        rotation, providers = environment.secrets.rotation, environment.providers
        own = {"overlap_s": rotation.overlap_hours * SECONDS_AN_HOUR}
        grace = {"grace_s": rotation.grace_hours * SECONDS_AN_HOUR}
        for name, secret, days in (
            ("client-keys", self.client_keys, rotation.client_keys_days),
            ("admin-keys", self.admin_keys, rotation.admin_keys_days),
        ):
            yield RotatedSecret(
                name=name,
                secret=secret,
                kind="generated_keys",
                provider="gateway",
                every_days=days,
                members=own,
            )
        if providers.google.enabled:
            yield RotatedSecret(
                name="google",
                secret=self.google,
                kind="google_service_account",
                provider="google",
                every_days=rotation.google_days,
                members={"iam_base_url": f"https://{GOOGLE_IAM_HOST}", **grace},
            )
        if providers.llama.enabled:
            administered = self.llama_administration is not None
            own_members = {"administration_url": providers.llama.key_administration_url, **grace}
            yield RotatedSecret(
                name="llama",
                secret=self.llama,
                kind="api_key_by_administration" if administered else BY_HAND,
                provider="llama",
                every_days=rotation.llama_days if administered else 0,
                members={
                    "test_url": f"{providers.llama.base_url}/models",
                    **(own_members if administered else {}),
                },
                administration=self.llama_administration,
            )
        if self.llama_administration is not None:
            yield RotatedSecret(
                name="llama-administration",
                secret=self.llama_administration,
                kind=BY_HAND,
                provider="llama",
                members={"test_url": f"{providers.llama.key_administration_url}/service_accounts"},
            )

    def _accept_what_no_clock_rotates(self) -> None:
        by_clock = {one.secret for one in self.rotated if one.every_days}
        reasons = {
            self.client_keys: ON_REQUEST,
            self.admin_keys: ON_REQUEST,
            self.google: ON_REQUEST if self.environment_settings.providers.google.enabled else UNUSED,
            self.llama: self._why_llama_is_not_rotated_by_a_clock(),
            self.llama_administration: PUT_BY_PEOPLE,
        }
        for secret, reason in reasons.items():
            if secret is not None and secret not in by_clock:
                acknowledge(
                    secret,
                    "AwsSolutions-SMG4",
                    *in_packs("SecretsManagerRotationEnabled", Pack.NIST, Pack.HIPAA),
                    reason=reason,
                )

    def _why_llama_is_not_rotated_by_a_clock(self) -> str:
        if not self.environment_settings.providers.llama.enabled:
            return UNUSED
        return PUT_BY_PEOPLE if self.llama_administration is None else ON_REQUEST
