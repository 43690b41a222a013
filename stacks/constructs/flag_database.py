"""The third tier of flags: Aurora PostgreSQL in subnets without a way out, entered with passwords of IAM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_rds as rds
from constructs import Construct, IConstruct

from stacks.acknowledgements import Pack, acknowledge, in_packs
from stacks.constructs.encrypted_log_group import EncryptedLogGroup
from stacks.constructs.encryption_key import EncryptionKey, Holder
from stacks.constructs.flag_migrations import DRIVER, FlagMigrations
from stacks.constructs.python_function import FunctionLog, FunctionNetwork
from stacks.constructs.python_layer import PythonLayer
from stacks.environment_stack import EnvironmentStack

ENGINE = "aurora-postgresql"
ENGINE_VERSION = rds.AuroraPostgresEngineVersion.VER_17_9
PORT = 5433
NAME = "flags"
MASTER = "flag_master"
READER, WRITER = "flag_reader", "flag_writer"
"""The users that IAM lets in; `lambdas/flag_database` makes them."""

CERTIFICATE_AUTHORITY = "rds-ca-rsa2048-g1"
"""Ends in one of the roots that gateway and functions trust."""

_SETTINGS = {
    "rds.force_ssl": "1",
    "ssl_min_protocol_version": "TLSv1.2",
    "log_connections": "1",
    "log_disconnections": "1",
}


@dataclass(frozen=True, kw_only=True)
class DatabaseAccess:
    """What one user of the database is told, and may do."""

    variables: Mapping[str, str]
    statement: iam.PolicyStatement


class FlagDatabase(Construct):
    """The cluster, its key and log, and the schema that every deploy brings up to date.

    Only those reach it who were let in by `let_in`. `layer` holds the driver for functions.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        network: FunctionNetwork,
        isolated_subnets: Sequence[ec2.ISubnet],
        log: FunctionLog,
    ) -> None:
        """`network` is where the migrating function runs; `let_in` its security group comes by itself."""
        super().__init__(scope, construct_id)
        stack = EnvironmentStack.of(self)
        assert isinstance(stack, EnvironmentStack)  # noqa: S101 - every stack of this project is one
        self._environment = stack.environment_settings
        self._removal_policy = stack.removal_policy
        self.key = EncryptionKey(
            self,
            "Key",
            description="Encrypts the flag database of the AI gateway and its master user's secret",
            removal_policy=stack.removal_policy,
            holder=Holder.RDS,
            # RDS keeps the master user's secret there, on behalf of whoever makes the cluster.
            further_holders=[Holder.SECRETS_MANAGER],
        )
        self.security_group = ec2.SecurityGroup(
            self,
            "SecurityGroup",
            vpc=network.vpc,
            description="PostgreSQL from those let in, nothing out",
            allow_all_outbound=False,
        )
        self._keep(self.security_group)
        self.cluster = self._cluster(isolated_subnets)
        self._log_group(log)
        instances = [self._instance(number) for number in range(self._environment.flags.database_instances)]
        self.layer = PythonLayer(
            self, "Driver", description="pg8000, which speaks PostgreSQL", distributions=DRIVER
        )
        self.let_in(network.security_group, "Migrations to the flag database")
        self.migrations = FlagMigrations(
            self,
            "Migrations",
            host=self.host,
            port=self.cluster.attr_endpoint_port,
            database=NAME,
            secret_arn=self.cluster.attr_master_user_secret_secret_arn,
            secret_key=self.key,
            driver=self.layer,
            network=network,
            log=log,
        )
        self.migrations.done.node.add_dependency(*instances, self.security_group, network.security_group)

    @property
    def host(self) -> str:
        """Where the instance that writes answers."""
        return self.cluster.attr_endpoint_address

    def let_in(self, security_group: ec2.ISecurityGroup, who: str) -> None:
        """Let whoever has `security_group` connect; `who` is the rule's description."""
        security_group.connections.allow_to(self.security_group, ec2.Port.tcp(PORT), who)

    def access(self, user: str) -> DatabaseAccess:
        """For `READER` or `WRITER`: the variables of docs/contracts.md, and the one permission it takes."""
        stack = cdk.Stack.of(self)
        return DatabaseAccess(
            variables={
                "FLAG_DATABASE_HOST": self.host,
                "FLAG_DATABASE_PORT": self.cluster.attr_endpoint_port,
                "FLAG_DATABASE_NAME": NAME,
                "FLAG_DATABASE_USER": user,
            },
            statement=iam.PolicyStatement(
                sid="ConnectToTheFlagDatabase",
                actions=["rds-db:connect"],
                resources=[
                    f"arn:aws:rds-db:{stack.region}:{stack.account}:dbuser:"
                    f"{self.cluster.attr_db_cluster_resource_id}/{user}"
                ],
            ),
        )

    def _cluster(self, subnets: Sequence[ec2.ISubnet]) -> rds.CfnDBCluster:
        settings = self._environment.flags
        subnet_group = rds.CfnDBSubnetGroup(
            self,
            "Subnets",
            db_subnet_group_description="Flag database of the AI gateway: no way out",
            subnet_ids=[subnet.subnet_id for subnet in subnets],
        )
        parameters = rds.CfnDBClusterParameterGroup(
            self,
            "Parameters",
            description="Flag database of the AI gateway: TLS alone, connections logged",
            family=f"{ENGINE}{ENGINE_VERSION.aurora_postgres_major_version}",
            parameters=_SETTINGS,
        )
        for part in (subnet_group, parameters):
            self._keep(part)
        cluster = rds.CfnDBCluster(
            self,
            "Cluster",
            engine=ENGINE,
            engine_version=ENGINE_VERSION.aurora_postgres_full_version,
            auto_minor_version_upgrade=True,
            database_name=NAME,
            port=PORT,
            master_username=MASTER,
            manage_master_user_password=True,
            master_user_secret=rds.CfnDBCluster.MasterUserSecretProperty(kms_key_id=self.key.key_arn),
            enable_iam_database_authentication=True,
            storage_encrypted=True,
            kms_key_id=self.key.key_arn,
            serverless_v2_scaling_configuration=rds.CfnDBCluster.ServerlessV2ScalingConfigurationProperty(
                min_capacity=settings.database_minimum_capacity,
                max_capacity=settings.database_maximum_capacity,
            ),
            db_subnet_group_name=subnet_group.ref,
            db_cluster_parameter_group_name=parameters.ref,
            vpc_security_group_ids=[self.security_group.security_group_id],
            enable_cloudwatch_logs_exports=["postgresql"],
            backup_retention_period=settings.database_backup_days,
            copy_tags_to_snapshot=True,
            deletion_protection=self._environment.deployment.stateful_protection,
        )
        self._keep(cluster)
        if not self._environment.deployment.stateful_protection:
            acknowledge(
                cluster,
                "AwsSolutions-RDS10",
                *in_packs("RDSInstanceDeletionProtectionEnabled", Pack.NIST, Pack.HIPAA),
                reason="The settings say that data of this environment goes with its stack.",
            )
        return cluster

    def _log_group(self, log: FunctionLog) -> None:
        """RDS would create it on its own, without a key and for ever, when the first instance starts."""
        self.log_group = EncryptedLogGroup(
            self,
            "Logs",
            log_group_name=f"/aws/rds/cluster/{self.cluster.ref}/postgresql",
            key=log.key,
            retention_days=log.retention_days,
            removal_policy=log.removal_policy,
        )

    def _instance(self, number: int) -> rds.CfnDBInstance:
        zone = self._environment.deployment.availability_zones[number]
        instance = rds.CfnDBInstance(
            self,
            f"Instance{number + 1}",
            engine=ENGINE,
            db_cluster_identifier=self.cluster.ref,
            db_instance_class="db.serverless",
            availability_zone=zone,
            # Those of the first two tiers scale with the instance that writes, and are ready to take over.
            promotion_tier=min(number, 1),
            publicly_accessible=False,
            ca_certificate_identifier=CERTIFICATE_AUTHORITY,
            auto_minor_version_upgrade=True,
            enable_performance_insights=True,
            performance_insights_kms_key_id=self.key.key_arn,
            performance_insights_retention_period=7,
        )
        instance.node.add_dependency(self.log_group)
        self._keep(instance)
        _accept_findings(instance)
        return instance

    def _keep(self, part: IConstruct) -> None:
        """What a kept cluster stands on is kept with it."""
        resource = part if isinstance(part, cdk.CfnResource) else part.node.default_child
        assert isinstance(resource, cdk.CfnResource)  # noqa: S101 - what a construct is made of
        resource.apply_removal_policy(self._removal_policy)


def _accept_findings(instance: rds.CfnDBInstance) -> None:
    acknowledge(
        instance,
        *in_packs("RDSInBackupPlan", Pack.NIST, Pack.HIPAA),
        reason="The cluster backs itself up continuously for as many days as the settings say; what it "
        "holds is a copy of the flag table, which can be restored by itself.",
    )
    acknowledge(
        instance,
        *in_packs("RDSEnhancedMonitoringEnabled", Pack.NIST, Pack.HIPAA),
        reason="It measures processes of the operating system, of which none is ours; the database's load is "
        "kept by Performance Insights, capacity and connections by CloudWatch.",
    )
    acknowledge(
        instance,
        "CloudFormation-Validate::W3010",
        reason="Zones are literal so that nothing is looked up and no two instances share one.",
    )
