"""Where alarms are announced: an encrypted topic that only this account's alarms write to."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from stacks.constructs.encryption_key import EncryptionKey

_ALARMS = "cloudwatch.amazonaws.com"


class AlarmTopic(sns.Topic):
    """Mails to `email` where there is one; the mailbox must confirm the subscription once."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        email: str | None,
        removal_policy: cdk.RemovalPolicy,
    ) -> None:
        key = EncryptionKey(
            scope,
            f"{construct_id}Key",
            description="Encrypts the alarms of the AI gateway",
            removal_policy=removal_policy,
        )
        super().__init__(scope, construct_id, master_key=key, enforce_ssl=True)
        account = cdk.Stack.of(scope).account
        own_alarms = {"StringEquals": {"aws:SourceAccount": account}}
        key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="AlarmsOfThisAccount",
                principals=[iam.ServicePrincipal(_ALARMS)],
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                resources=["*"],
                conditions=own_alarms,
            )
        )
        self.add_to_resource_policy(
            iam.PolicyStatement(
                sid="AlarmsOfThisAccount",
                principals=[iam.ServicePrincipal(_ALARMS)],
                actions=["sns:Publish"],
                resources=[self.topic_arn],
                conditions=own_alarms,
            )
        )
        if email:
            self.add_subscription(subscriptions.EmailSubscription(email))
