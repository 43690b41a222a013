"""What the gateway's task may do: the actions it uses, on the resources it uses them on."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from stacks.constructs.bedrock_access import invoke_statements
from stacks.declared_models import DeclaredModel
from stacks.environment_stack import EnvironmentStack


class GatewayTaskRole(iam.Role):
    """The role whose credentials the gateway's process has; `docs/contracts.md` lists the calls it makes."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        registry_table: dynamodb.TableV2,
        table_key: kms.IKey,
        parameter_names: Sequence[str],
        parameter_paths: Sequence[str],
        secrets: Sequence[secretsmanager.Secret],
        secrets_key: kms.IKey,
        invocable: Sequence[DeclaredModel],
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"),
            description="What the AI gateway itself may do",
        )
        stack = EnvironmentStack.of(self)
        prefix = f"arn:aws:ssm:{stack.region}:{stack.account}:parameter"
        statements = [
            _allow("dynamodb:Scan", "dynamodb:GetItem", "dynamodb:PutItem", on=[registry_table.table_arn]),
            _allow("ssm:GetParameter", on=[f"{prefix}{name}" for name in parameter_names]),
            _allow("ssm:GetParametersByPath", on=[f"{prefix}{path}" for path in parameter_paths]),
            _allow("secretsmanager:GetSecretValue", on=[secret.secret_arn for secret in secrets]),
            _decrypt(table_key, f"dynamodb.{stack.region}.amazonaws.com"),
            _decrypt(secrets_key, f"secretsmanager.{stack.region}.amazonaws.com"),
            *invoke_statements(invocable, region=stack.region, account=stack.account),
        ]
        for statement in statements:
            self.add_to_policy(statement)


def _allow(*actions: str, on: Sequence[str]) -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=list(actions), resources=list(on))


def _decrypt(key: kms.IKey, service: str) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        actions=["kms:Decrypt"],
        resources=[key.key_arn],
        conditions={"StringEquals": {"kms:ViaService": service}},
    )
