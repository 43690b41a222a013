"""The custom resource that deploys declared model versions and refuses changes to deployed ones.

It also refuses a route set, declared or in force, that names versions which must not be routed to.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from stacks.constructs.python_function import (
    CALLED_BY_CLOUDFORMATION,
    AcceptedFindings,
    FunctionLog,
    PythonFunction,
)

SERVICE_TIMEOUT_S = 300
"""How long a deploy waits for the guard's answer, instead of the default hour."""


class RegistryGuard(PythonFunction):
    """Runs `lambdas/registry_guard` on every deploy that changes the models, the route set or its rules."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        table: dynamodb.TableV2,
        audit_table: dynamodb.TableV2,
        items: Sequence[dict[str, object]],
        route_set: str,
        route_set_parameter_name: str,
        eu_only: bool,
        table_key: kms.IKey,
        log: FunctionLog,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            name="registry_guard",
            description="Deploys declared model versions and refuses changes to deployed ones",
            log=log,
            shared=["audit_record", "custom_resource"],
            files=["environments/models/schema.json", "environments/route-sets/schema.json"],
            statements=_permissions(
                cdk.Stack.of(scope),
                table=table,
                audit_table=audit_table,
                table_key=table_key,
                route_set_parameter_name=route_set_parameter_name,
            ),
            accepted=AcceptedFindings(
                called_by=CALLED_BY_CLOUDFORMATION,
                outside_the_network="It calls the registry table, Parameter Store and CloudFormation's own "
                "answer address, nothing in the VPC.",
            ),
        )
        guard = cdk.CustomResource(
            self,
            "DeployedVersions",
            service_token=self.function.function_arn,
            # CloudFormation would turn the numbers of a nested object into text.
            properties={
                "TableName": table.table_name,
                "AuditTable": audit_table.table_name,
                "Items": json.dumps(items, ensure_ascii=False, separators=(",", ":")),
                "RouteSet": route_set,
                "RouteSetParameter": route_set_parameter_name,
                "EuOnly": "true" if eu_only else "false",
            },
        )
        resource = guard.node.default_child
        assert isinstance(resource, cdk.CfnResource)  # noqa: S101 - what the construct is made of
        # The construct's own property would render the number as text, which validation objects to.
        resource.add_property_override("ServiceTimeout", SERVICE_TIMEOUT_S)
        guard.node.add_dependency(self.permissions)


def _permissions(
    stack: cdk.Stack,
    *,
    table: dynamodb.TableV2,
    audit_table: dynamodb.TableV2,
    table_key: kms.IKey,
    route_set_parameter_name: str,
) -> Sequence[iam.PolicyStatement]:
    route_set = route_set_parameter_name.removeprefix("/")
    return (
        iam.PolicyStatement(
            sid="ReadTheRouteSetInForce",
            actions=["ssm:GetParameter"],
            resources=[stack.format_arn(service="ssm", resource="parameter", resource_name=route_set)],
        ),
        iam.PolicyStatement(
            sid="ReadAndAddVersions",
            actions=["dynamodb:GetItem", "dynamodb:PutItem"],
            resources=[table.table_arn],
        ),
        iam.PolicyStatement(
            sid="RecordVersions",
            actions=["dynamodb:PutItem", "dynamodb:Query"],
            resources=[audit_table.table_arn],
        ),
        iam.PolicyStatement(
            sid="DecryptTheTables",
            actions=["kms:Decrypt"],
            resources=[table_key.key_arn],
            conditions={"StringEquals": {"kms:ViaService": f"dynamodb.{stack.region}.amazonaws.com"}},
        ),
    )
