"""FeatureFlags: what operators switch while the gateway runs, first in parameters, then in a table."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from constructs import Construct

from stacks.constructs.flag_database import FlagDatabase
from stacks.constructs.flag_permissions import FlagStores
from stacks.constructs.flag_update import FlagUpdate
from stacks.constructs.kill_switch import KillSwitch
from stacks.constructs.operator_parameters import OperatorParameter, OperatorParameters
from stacks.constructs.python_function import FunctionNetwork
from stacks.declared_flags import DeclaredFlag
from stacks.environment_stack import EnvironmentStack, tags_of
from stacks.settings import Environment
from stacks.settings_kill_switch import alarm_name


class FeatureFlagsStack(EnvironmentStack):
    """Owns one parameter for each flag, the tiers behind them, and the functions that keep and pull them.

    A deploy leaves a flag alone that an operator has set since.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        flags: Sequence[DeclaredFlag],
        audit_table: dynamodb.ITable,
        table_key: kms.IKey,
        log_key: kms.IKey,
        vpc: ec2.IVpc,
        function_subnets: Sequence[ec2.ISubnet],
        isolated_subnets: Sequence[ec2.ISubnet],
        endpoint_security_group: ec2.ISecurityGroup,
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
                    name=f"{self.parameter_path}/{flag.name}",
                    value=flag.default,
                    allowed_pattern=flag.allowed_pattern,
                    description=flag.description,
                )
                for flag in flags
            ],
            tags=tags_of(environment),
            kept=environment.deployment.stateful_protection,
            log=self.function_log(log_key),
        )
        self.table = dynamodb.TableV2(
            self,
            "FlagTable",
            partition_key=dynamodb.Attribute(name="flag", type=dynamodb.AttributeType.STRING),
            time_to_live_attribute="expires_at",
            encryption=dynamodb.TableEncryptionV2.customer_managed_key(table_key),
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=environment.deployment.stateful_protection,
            removal_policy=self.removal_policy,
        )
        cdk.CfnOutput(self, "FlagParameterPath", value=self.parameter_path)
        cdk.CfnOutput(self, "FlagTableName", value=self.table.table_name)
        self._vpc = vpc
        self._function_subnets = function_subnets
        self._endpoint_security_group = endpoint_security_group
        self.database: FlagDatabase | None = None
        if environment.flags.database:
            self.database = FlagDatabase(
                self,
                "Database",
                network=self._network("MigrationsSecurityGroup", "Migrations of the flag database"),
                isolated_subnets=isolated_subnets,
                log=self.function_log(log_key),
            )
            cdk.CfnOutput(self, "FlagDatabaseHost", value=self.database.host)
        stores = FlagStores(
            parameter_path=self.parameter_path,
            table=self.table,
            audit_table=audit_table,
            table_key=table_key,
        )
        self.update = FlagUpdate(
            self,
            "Update",
            environment_name=environment.name,
            flags=flags,
            stores=stores,
            database=self.database,
            network=self._network("UpdateSecurityGroup", "Flag update") if self.database else None,
            log=self.function_log(log_key),
        )
        # Until the parameters are declared it would create them, without their tags and patterns.
        self.update.function.node.add_dependency(self.flags.declared)
        self.kill_switch = KillSwitch(
            self,
            "KillSwitch",
            environment_name=environment.name,
            flags=flags,
            switch_of_alarm={
                alarm_name(environment.name, alarm): f"kill-switch.{target}"
                for alarm, target in environment.kill_switch.pulled_by.items()
            },
            stores=stores,
            log=self.function_log(log_key),
            removal_policy=self.removal_policy,
        )
        cdk.CfnOutput(self, "KillSwitchTopicArn", value=self.kill_switch.topic.topic_arn)

    def _network(self, construct_id: str, who: str) -> FunctionNetwork:
        """Where a function runs that connects to the database: it may call endpoints, and AWS's gateways.

        The gateways to S3 and DynamoDB have no security group to name, and an address range of their own in
        each region; what else goes to port 443 ends at the firewall.
        """
        group = ec2.SecurityGroup(
            self, construct_id, vpc=self._vpc, description=who, allow_all_outbound=False
        )
        group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(443), f"{who}: tables, and CloudFormation")
        group.connections.allow_to(
            self._endpoint_security_group, ec2.Port.tcp(443), f"{who} to endpoints of AWS services"
        )
        return FunctionNetwork(vpc=self._vpc, subnets=self._function_subnets, security_group=group)
