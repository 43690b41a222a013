"""FeatureFlags: what operators switch while the gateway runs, first in parameters, then in a table."""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from constructs import Construct

from stacks.constructs.operator_parameters import OperatorParameter, OperatorParameters
from stacks.environment_stack import EnvironmentStack, tags_of
from stacks.settings import Environment

KILL_SWITCHES = ("all", "bedrock", "google", "llama")

FLAGS: Mapping[str, tuple[str, ...]] = {
    "rollout-stage": ("off", "shadow", "canary", "active"),
    **{f"kill-switch.{target}": ("off", "on") for target in KILL_SWITCHES},
}
"""Every flag and the values it may have; the first is the one it is created with."""


class FeatureFlagsStack(EnvironmentStack):
    """Owns one parameter for each flag, created `off`, and the flag table.

    A deploy leaves a flag alone that an operator has set since.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        table_key: kms.IKey,
        log_key: kms.IKey,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            environment=environment,
            description="Flags that operators switch while the AI gateway runs",
            stateful=True,
        )
        self.parameter_path = f"/ai-orchestration/{environment.name}/flags"
        self.flags = OperatorParameters(
            self,
            "Flags",
            parameters=[
                OperatorParameter(
                    name=f"{self.parameter_path}/{name}",
                    value=values[0],
                    allowed_pattern=f"^({'|'.join(values)})$",
                    description=f"One of {', '.join(values)}",
                )
                for name, values in FLAGS.items()
            ],
            tags=tags_of(environment),
            kept=environment.deployment.stateful_protection,
            log=self.function_log(log_key),
        )
        self.table = dynamodb.TableV2(
            self,
            "FlagTable",
            partition_key=dynamodb.Attribute(name="flag", type=dynamodb.AttributeType.STRING),
            encryption=dynamodb.TableEncryptionV2.customer_managed_key(table_key),
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=environment.deployment.stateful_protection,
            removal_policy=self.removal_policy,
        )
        cdk.CfnOutput(self, "FlagParameterPath", value=self.parameter_path)
        cdk.CfnOutput(self, "FlagTableName", value=self.table.table_name)
