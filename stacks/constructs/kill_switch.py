"""The function with which alarms stop providers, and the topic that calls it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from stacks.constructs.alarm_topic import AlarmTopic
from stacks.constructs.flag_permissions import FlagStores
from stacks.constructs.python_function import AcceptedFindings, FunctionLog, PythonFunction
from stacks.declared_flags import DeclaredFlag

_SHARED = ("audit_record", "bounded_client", "flag_measurement", "flag_row")


class KillSwitch(PythonFunction):
    """Runs `lambdas/kill_switch` on every message of `topic`, which only alarms of this account write to.

    `switch_of_alarm` maps names of alarms to names of flags.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment_name: str,
        flags: Sequence[DeclaredFlag],
        switch_of_alarm: Mapping[str, str],
        stores: FlagStores,
        log: FunctionLog,
        removal_policy: cdk.RemovalPolicy,
    ) -> None:
        switches = [flag.name for flag in flags if flag.is_kill_switch]
        super().__init__(
            scope,
            construct_id,
            name="kill_switch",
            description="Turns a kill switch on when an alarm says so",
            log=log,
            statements=_permissions(cdk.Stack.of(scope), switches, stores),
            variables={
                **stores.variables(environment_name),
                "SWITCH_OF_ALARM": json.dumps(dict(switch_of_alarm), separators=(",", ":")),
            },
            shared=_SHARED,
            accepted=AcceptedFindings(
                called_by="SNS alone calls it, and Lambda twice more where it fails; then an alarm tells "
                "people, whom the alarm that should have stopped a provider tells as well. A reservation "
                "would fail in accounts whose whole quota is ten.",
                outside_the_network="It calls Parameter Store and DynamoDB, nothing in the VPC.",
            ),
        )
        self.topic = AlarmTopic(self, "Topic", email=None, removal_policy=removal_policy)
        self.topic.add_subscription(subscriptions.LambdaSubscription(self.function))


def _permissions(
    stack: cdk.Stack, switches: Sequence[str], stores: FlagStores
) -> Sequence[iam.PolicyStatement]:
    return (
        iam.PolicyStatement(
            sid="TurnSwitchesOn",
            actions=["ssm:GetParameter", "ssm:PutParameter"],
            resources=stores.parameter_arns(stack, switches),
        ),
        iam.PolicyStatement(
            sid="TurnSwitchesOnInTheTable",
            actions=["dynamodb:GetItem", "dynamodb:PutItem"],
            resources=[stores.table.table_arn],
            # No other flag, and no evidence, is an alarm's to write.
            conditions={"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": list(switches)}},
        ),
        *stores.recording(stack),
    )
