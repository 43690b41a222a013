"""The custom resource that brings the schema of the flag database up to date with every deploy."""

from __future__ import annotations

import hashlib

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from stacks.constructs.python_function import (
    CALLED_BY_CLOUDFORMATION,
    PROJECT,
    AcceptedFindings,
    FunctionLog,
    FunctionNetwork,
    PythonFunction,
)
from stacks.constructs.python_layer import PythonLayer

DRIVER = ("pg8000", "scramp", "asn1crypto", "python-dateutil", "six")
MIGRATION_TOOL = ("alembic", "sqlalchemy", "mako", "markupsafe", "typing_extensions")

CONNECTION = ("database_connection",)
RDS_ROOTS = "gateway_image/gateway/control/rds_roots.pem"
"""The module that functions connect with, and the file it needs: `shared` and `files` of their code."""

SERVICE_TIMEOUT_S = 300
_TIMEOUT_S = 240
_FUNCTION = "flag_database"


class FlagMigrations(PythonFunction):
    """Runs `lambdas/flag_database` on every deploy that changes a migration; `done` comes after it."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        host: str,
        port: str,
        database: str,
        secret_arn: str,
        secret_key: kms.IKey,
        driver: lambda_.ILayerVersion,
        network: FunctionNetwork,
        log: FunctionLog,
    ) -> None:
        tool = PythonLayer(
            scope,
            "MigrationTool",
            description="Alembic and SQLAlchemy, which migrate",
            distributions=MIGRATION_TOOL,
        )
        super().__init__(
            scope,
            construct_id,
            name=_FUNCTION,
            description="Brings the schema of the flag database up to date",
            log=log,
            statements=_permissions(cdk.Stack.of(scope), secret_arn=secret_arn, secret_key=secret_key),
            shared=("custom_resource", *CONNECTION),
            files=[RDS_ROOTS],
            layers=[driver, tool],
            network=network,
            timeout_s=_TIMEOUT_S,
            accepted=AcceptedFindings(called_by=CALLED_BY_CLOUDFORMATION),
        )
        self.done = cdk.CustomResource(
            self,
            "Done",
            service_token=self.function.function_arn,
            properties={
                "Host": host,
                "Port": port,
                "Database": database,
                "SecretArn": secret_arn,
                "Migrations": _digest(),
            },
        )
        resource = self.done.node.default_child
        assert isinstance(resource, cdk.CfnResource)  # noqa: S101 - what the construct is made of
        # The construct's own property would render the number as text, which validation objects to.
        resource.add_property_override("ServiceTimeout", SERVICE_TIMEOUT_S)
        self.done.node.add_dependency(self.permissions)


def _digest() -> str:
    """Changes with every new migration, so that CloudFormation calls the function."""
    digest = hashlib.sha256()
    for file in sorted((PROJECT / "lambdas" / _FUNCTION / "migrations" / "versions").glob("*.py")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _permissions(stack: cdk.Stack, *, secret_arn: str, secret_key: kms.IKey) -> list[iam.PolicyStatement]:
    return [
        iam.PolicyStatement(
            sid="ReadTheMasterUsersSecret",
            actions=["secretsmanager:GetSecretValue"],
            resources=[secret_arn],
        ),
        iam.PolicyStatement(
            sid="DecryptTheMasterUsersSecret",
            actions=["kms:Decrypt"],
            resources=[secret_key.key_arn],
            conditions={"StringEquals": {"kms:ViaService": f"secretsmanager.{stack.region}.amazonaws.com"}},
        ),
    ]
