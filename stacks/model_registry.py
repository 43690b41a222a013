"""ModelRegistry: which versions of which models there are, and how requests are spread over them."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from constructs import Construct

from stacks.constructs.audit_table import AuditTable
from stacks.constructs.operator_parameters import OperatorParameter, OperatorParameters, Records
from stacks.constructs.registry_guard import RegistryGuard
from stacks.declared_models import DeclaredModel
from stacks.environment_stack import EnvironmentStack, tags_of
from stacks.route_set import RouteSet
from stacks.settings import Environment

TABLE_NAME = "ai_model_registry"


class ModelRegistryStack(EnvironmentStack):
    """Owns the registry table, the guard that fills it, and the parameter with the route set in force."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        models: Sequence[DeclaredModel],
        route_set: RouteSet,
        table_key: kms.IKey,
        log_key: kms.IKey,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            environment=environment,
            description="Versions of the models that the AI gateway may call, and the route set in force",
            stateful=True,
        )
        self.table = dynamodb.TableV2(
            self,
            "Table",
            table_name=TABLE_NAME,
            partition_key=dynamodb.Attribute(name="provider#model", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="version", type=dynamodb.AttributeType.STRING),
            encryption=dynamodb.TableEncryptionV2.customer_managed_key(table_key),
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=environment.deployment.stateful_protection,
            removal_policy=self.removal_policy,
        )
        self.audit_table = AuditTable(
            self,
            "AuditTable",
            key=table_key,
            protected=environment.deployment.stateful_protection,
            removal_policy=self.removal_policy,
        )
        self.route_set_parameter_name = f"/ai-orchestration/{environment.name}/route-sets/active"
        self.route_set_library_path = f"/ai-orchestration/{environment.name}/route-sets/library"
        self.guard = RegistryGuard(
            self,
            "Guard",
            table=self.table,
            audit_table=self.audit_table,
            items=[model.item for model in models],
            route_set=route_set.text,
            route_set_parameter_name=self.route_set_parameter_name,
            eu_only=environment.deployment.eu_only,
            log=self.function_log(log_key),
            table_key=table_key,
        )
        self.route_set = OperatorParameters(
            self,
            "RouteSet",
            parameters=[
                OperatorParameter(
                    name=self.route_set_parameter_name,
                    value=route_set.text,
                    description="Route set in force; operators may change it without a deploy",
                    audit_subject="route-set",
                )
            ],
            tags=tags_of(environment),
            kept=environment.deployment.stateful_protection,
            log=self.function_log(log_key),
            records=Records(table=self.audit_table, key=table_key),
        )
        # A route set must never name a version that the table does not hold yet.
        self.route_set.declared.node.add_dependency(self.guard)
        cdk.CfnOutput(self, "RegistryTableName", value=self.table.table_name)
        cdk.CfnOutput(self, "AuditTableName", value=self.audit_table.table_name)
        cdk.CfnOutput(self, "RouteSetParameterName", value=self.route_set_parameter_name)
        cdk.CfnOutput(self, "RouteSetLibraryPath", value=self.route_set_library_path)
