"""A key for one purpose: usable only through the service that holds the data, administered by the account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct


class Holder(StrEnum):
    """A service that encrypts what it holds on behalf of whoever calls it."""

    BEDROCK = "bedrock"
    DYNAMODB = "dynamodb"
    ELASTICACHE = "elasticache"
    RDS = "rds"
    SECRETS_MANAGER = "secretsmanager"


ADMINISTRATION = (
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListKeyRotations",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:RevokeGrant",
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
)
"""What administrators do with a key, none of which encrypts or decrypts,
https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html"""

_DATA_KEYS = (
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)

_USES: Mapping[Holder, tuple[str, ...]] = {
    # https://docs.aws.amazon.com/bedrock/latest/userguide/guardrails-permissions-kms.html
    Holder.BEDROCK: ("kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"),
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html
    Holder.DYNAMODB: _DATA_KEYS,
    # https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/at-rest-encryption.html
    Holder.ELASTICACHE: _DATA_KEYS,
    # https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Overview.Encryption.Keys.html
    Holder.RDS: _DATA_KEYS,
    # https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html
    Holder.SECRETS_MANAGER: ("kms:Decrypt", "kms:GenerateDataKey"),
}

_NEEDING_GRANTS = frozenset({Holder.BEDROCK, Holder.DYNAMODB, Holder.ELASTICACHE, Holder.RDS})
"""Services that go on using the key after the call that made the resource."""


class EncryptionKey(kms.Key):
    """A rotated key whose policy names every action.

    Principals of the account may administer it, as far as their own policies allow. For data they may use it
    through `holder` and `further_holders` alone, which decide who sees what; nobody may encrypt or decrypt by
    calling KMS. Without a `holder` it is for services that act on their own; each is let in by a statement of
    its own.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        description: str,
        removal_policy: cdk.RemovalPolicy,
        holder: Holder | None = None,
        further_holders: Sequence[Holder] = (),
    ) -> None:
        stack = cdk.Stack.of(scope)
        statements = [_administration(stack.account)]
        for each in (*([holder] if holder else []), *further_holders):
            statements += _use(each, account=stack.account, region=stack.region)
        super().__init__(
            scope,
            construct_id,
            description=description,
            enable_key_rotation=True,
            removal_policy=removal_policy,
            policy=iam.PolicyDocument(statements=statements),
        )
        self.policy_as_is = kms.Key.from_key_arn(self, "PolicyAsIs", self.key_arn)
        """The key for constructs that would write statements of their own into its policy."""


def _administration(account: str) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        sid="AdministeredByThisAccount",
        principals=[iam.AccountPrincipal(account)],
        actions=list(ADMINISTRATION),
        resources=["*"],
    )


def _use(holder: Holder, *, account: str, region: str) -> list[iam.PolicyStatement]:
    through_it = {"kms:ViaService": f"{holder}.{region}.amazonaws.com"}
    use = iam.PolicyStatement(
        sid="UsedThroughItsServiceOnly",
        principals=[iam.AccountPrincipal(account)],
        actions=list(_USES[holder]),
        resources=["*"],
        conditions={"StringEquals": through_it},
    )
    grants = iam.PolicyStatement(
        sid="GrantsToItsServiceOnly",
        principals=[iam.AccountPrincipal(account)],
        actions=["kms:CreateGrant"],
        resources=["*"],
        conditions={"StringEquals": through_it, "Bool": {"kms:GrantIsForAWSResource": "true"}},
    )
    return [use, grants] if holder in _NEEDING_GRANTS else [use]
