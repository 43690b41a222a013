"""The function that replaces keys and credentials, what calls it, and what it may do."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from stacks.constructs.python_function import (
    AcceptedFindings,
    FunctionLog,
    FunctionNetwork,
    PythonFunction,
)

SWEEP_EVERY = cdk.Duration.minutes(5)
TIMEOUT_S = 120
HTTPS_PORT = 443

SECRETS_MANAGER = "secretsmanager.amazonaws.com"
BY_HAND = "api_key_by_hand"
"""The kind of what a person puts."""


@dataclass(frozen=True, kw_only=True)
class RotatedSecret:
    """A secret that the function replaces, as `docs/contracts.md` describes it.

    `name` is what its measurements are called by. `every_days` is 0 where no clock rotates it. `members` are
    those of its kind; `administration` is the secret with the key that makes its keys.
    """

    name: str
    secret: secretsmanager.Secret
    kind: str
    provider: str
    every_days: int = 0
    members: Mapping[str, object] = field(default_factory=dict)
    administration: secretsmanager.Secret | None = None

    def described(self) -> Mapping[str, object]:
        """Its entry in `ROTATED_SECRETS`."""
        administration = self.administration
        return {
            "name": self.name,
            "kind": self.kind,
            "provider": self.provider,
            **self.members,
            **({"administration_secret": administration.secret_arn} if administration else {}),
        }


class SecretRotation(PythonFunction):
    """Runs `lambdas/secret_rotation` in the network, behind its firewall.

    Secrets Manager calls it where a secret rotates, a schedule every five minutes for what no rotation
    finishes: keys that people put, old keys that are due, ages.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment_name: str,
        rotated: Sequence[RotatedSecret],
        secrets_key: kms.IKey,
        vpc: ec2.IVpc,
        subnets: Sequence[ec2.ISubnet],
        endpoints: ec2.ISecurityGroup,
        log: FunctionLog,
    ) -> None:
        security_group = _security_group(scope, f"{construct_id}SecurityGroup", vpc, endpoints)
        super().__init__(
            scope,
            construct_id,
            name="secret_rotation",
            description="Replaces keys and credentials of the AI gateway, and ends the old ones",
            log=log,
            statements=_permissions(cdk.Stack.of(scope), rotated, secrets_key),
            variables={
                "ENVIRONMENT": environment_name,
                # Keys of the object are ARNs that only the deployment knows; none needs escaping.
                "ROTATED_SECRETS": json.dumps({one.secret.secret_arn: one.described() for one in rotated}),
            },
            network=FunctionNetwork(vpc=vpc, subnets=subnets, security_group=security_group),
            timeout_s=TIMEOUT_S,
            accepted=AcceptedFindings(
                called_by="Secrets Manager repeats a rotation that fails by itself, and the schedule comes "
                "again: what was lost with one call is found by the next. Nothing limits how often it runs "
                "but those two.",
            ),
        )
        # The schedule comes again: an old call is worth nothing.
        self.function.configure_async_invoke(retry_attempts=1, max_event_age=SWEEP_EVERY)
        self.function.add_permission(
            "SecretsManager",
            principal=iam.ServicePrincipal(SECRETS_MANAGER),
            source_account=cdk.Stack.of(self).account,
        )
        self._sweep()
        for one in rotated:
            if one.every_days:
                self._rotate(one)

    def _sweep(self) -> None:
        events.Rule(
            self,
            "Sweep",
            description="Has the rotation look after every secret of the AI gateway",
            schedule=events.Schedule.rate(SWEEP_EVERY),
            targets=[
                targets.LambdaFunction(
                    self.function,
                    event=events.RuleTargetInput.from_object({"sweep": True}),
                    retry_attempts=1,
                    max_event_age=SWEEP_EVERY,
                )
            ],
        )

    def _rotate(self, rotated: RotatedSecret) -> None:
        """By the clock. Not at once: a provider's secret is empty until an operator has set it."""
        schedule = secretsmanager.CfnRotationSchedule(
            self,
            f"Of{rotated.secret.node.id}",
            secret_id=rotated.secret.secret_arn,
            rotation_lambda_arn=self.function.function_arn,
            rotation_rules=secretsmanager.CfnRotationSchedule.RotationRulesProperty(
                automatically_after_days=rotated.every_days
            ),
            rotate_immediately_on_update=False,
        )
        schedule.node.add_dependency(self.permissions, self.function.node.find_child("SecretsManager"))


def _security_group(
    scope: Construct, construct_id: str, vpc: ec2.IVpc, endpoints: ec2.ISecurityGroup
) -> ec2.SecurityGroup:
    group = ec2.SecurityGroup(
        scope,
        construct_id,
        vpc=vpc,
        description="Rotation of the secrets of the AI gateway",
        allow_all_outbound=False,
    )
    https = ec2.Port.tcp(HTTPS_PORT)
    group.add_egress_rule(ec2.Peer.any_ipv4(), https, "Where providers administer and test keys")
    group.connections.allow_to(endpoints, https, "Rotation to endpoints of AWS services")
    return group


def _permissions(
    stack: cdk.Stack, rotated: Sequence[RotatedSecret], secrets_key: kms.IKey
) -> Sequence[iam.PolicyStatement]:
    return [
        iam.PolicyStatement(
            sid="PromoteValuesOfItsSecrets",
            actions=[
                "secretsmanager:DescribeSecret",
                "secretsmanager:GetSecretValue",
                "secretsmanager:TagResource",
                "secretsmanager:UpdateSecretVersionStage",
            ],
            resources=[one.secret.secret_arn for one in rotated],
        ),
        iam.PolicyStatement(
            sid="MakeValuesThatNobodyPuts",
            actions=["secretsmanager:PutSecretValue"],
            resources=[one.secret.secret_arn for one in rotated if one.kind != BY_HAND],
        ),
        iam.PolicyStatement(
            sid="EncryptAndDecryptItsSecrets",
            actions=["kms:Decrypt", "kms:GenerateDataKey"],
            resources=[secrets_key.key_arn],
            conditions={"StringEquals": {"kms:ViaService": f"secretsmanager.{stack.region}.amazonaws.com"}},
        ),
    ]
