"""What the gateway's task may do, and what ECS may do to start it: each action on what it is used on."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from stacks.acknowledgements import acknowledge
from stacks.constructs.bedrock_access import invoke_statements
from stacks.declared_flags import KILL_SWITCH
from stacks.declared_models import DeclaredModel
from stacks.environment_stack import EnvironmentStack
from stacks.wildcard_resources import ROLE_PATTERNS as PATTERNS
from stacks.wildcard_resources import ROLES as UNSCOPABLE

_ECS_TASKS = "ecs-tasks.amazonaws.com"
_REGISTRY_TOKEN = "ecr:GetAuthorizationToken"  # noqa: S105 - an action


class GatewayTaskRole(iam.Role):
    """The role whose credentials the gateway's process has; `docs/contracts.md` lists the calls it makes.

    Where Bedrock is called with a role of another account, it may assume that one and invoke nothing itself.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        registry_table: dynamodb.TableV2,
        audit_table: dynamodb.ITableV2,
        flag_table: dynamodb.TableV2,
        table_key: kms.IKey,
        route_set_parameter_name: str,
        route_set_library_path: str,
        flag_parameter_path: str,
        secrets: Sequence[secretsmanager.Secret],
        secrets_key: kms.IKey,
        invocable: Sequence[DeclaredModel],
        bedrock_role_arn: str | None,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            assumed_by=iam.ServicePrincipal(_ECS_TASKS),
            description="What the AI gateway itself may do",
        )
        stack = EnvironmentStack.of(self)
        prefix = f"arn:aws:ssm:{stack.region}:{stack.account}:parameter"
        statements = [
            _allow("dynamodb:Scan", "dynamodb:GetItem", "dynamodb:PutItem", on=[registry_table.table_arn]),
            _move_versions(registry_table),
            _allow("dynamodb:Query", "dynamodb:PutItem", on=[audit_table.table_arn]),
            _allow("dynamodb:Scan", on=[flag_table.table_arn]),
            _on_items("dynamodb:PutItem", f"{KILL_SWITCH}*", flag_table),
            _on_items("dynamodb:UpdateItem", "evidence#*", flag_table),
            _allow(
                "ssm:GetParameter",
                "ssm:GetParameterHistory",
                "ssm:PutParameter",
                on=[f"{prefix}{route_set_parameter_name}"],
            ),
            _allow("ssm:GetParameter", "ssm:PutParameter", on=[f"{prefix}{route_set_library_path}/*"]),
            _allow("ssm:PutParameter", on=[f"{prefix}{flag_parameter_path}/*"]),
            _allow(
                "ssm:GetParametersByPath",
                on=[f"{prefix}{route_set_library_path}", f"{prefix}{flag_parameter_path}"],
            ),
            _allow("secretsmanager:GetSecretValue", on=[secret.secret_arn for secret in secrets]),
            _decrypt(table_key, f"dynamodb.{stack.region}.amazonaws.com"),
            _decrypt(secrets_key, f"secretsmanager.{stack.region}.amazonaws.com"),
            *(
                [_allow("sts:AssumeRole", on=[bedrock_role_arn])]
                if bedrock_role_arn
                else invoke_statements(invocable, region=stack.region, account=stack.account)
            ),
        ]
        for statement in statements:
            self.add_to_policy(statement)
        for path in (route_set_library_path, flag_parameter_path):
            acknowledge(
                self,
                f"AwsSolutions-IAM5[Resource::{prefix}{path}/*]",
                reason=PATTERNS[f"/{path.rsplit('/', 1)[1]}/*"],
            )


class GatewayExecutionRole(iam.Role):
    """The role with which ECS fetches the image and writes the container's log, and nothing more.

    The CDK would also let it ask for the availability of layers, which only pushing needs:
    https://docs.aws.amazon.com/AmazonECR/latest/userguide/security-iam-awsmanpol.html
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        repository: ecr.IRepository,
        log_group: logs.ILogGroup,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            assumed_by=iam.ServicePrincipal(_ECS_TASKS),
            description="What ECS may do to start the AI gateway",
        )
        for statement in (
            _allow(_REGISTRY_TOKEN, on=["*"]),
            _allow("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", on=[repository.repository_arn]),
            _allow("logs:CreateLogStream", "logs:PutLogEvents", on=[log_group.log_group_arn]),
        ):
            self.add_to_policy(statement)
        acknowledge(
            self,
            "AwsSolutions-IAM5[Resource::*]",
            reason=f"{_REGISTRY_TOKEN}: {UNSCOPABLE[_REGISTRY_TOKEN]}",
        )


def _move_versions(registry_table: dynamodb.ITableV2) -> iam.PolicyStatement:
    """Of a version its lifecycle alone changes. A request's attributes include those of its key.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
    An update in a transaction is judged as one by itself:
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html
    """
    return iam.PolicyStatement(
        actions=["dynamodb:UpdateItem"],
        resources=[registry_table.table_arn],
        conditions={
            "ForAllValues:StringEquals": {"dynamodb:Attributes": ["provider#model", "version", "lifecycle"]}
        },
    )


def _on_items(action: str, keys: str, table: dynamodb.ITableV2) -> iam.PolicyStatement:
    """Replicas add to counts of evidence; of flags they put kill switches alone, whole."""
    return iam.PolicyStatement(
        actions=[action],
        resources=[table.table_arn],
        conditions={
            "ForAllValues:StringLike": {"dynamodb:LeadingKeys": [keys]},
            "Null": {"dynamodb:LeadingKeys": "false"},
        },
    )


def _allow(*actions: str, on: Sequence[str]) -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=list(actions), resources=list(on))


def _decrypt(key: kms.IKey, service: str) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        actions=["kms:Decrypt"],
        resources=[key.key_arn],
        conditions={"StringEquals": {"kms:ViaService": service}},
    )
