"""The function that keeps the tiers of flags in agreement, and what calls it."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from constructs import Construct

from stacks.constructs.flag_database import WRITER, FlagDatabase
from stacks.constructs.flag_permissions import FlagStores
from stacks.constructs.python_function import AcceptedFindings, FunctionLog, FunctionNetwork, PythonFunction
from stacks.declared_flags import FLAGS_FILE, DeclaredFlag

RECONCILED_EVERY = cdk.Duration.minutes(5)

_SHARED = ("audit_record", "bounded_client", "database_connection", "flag_measurement", "flag_row")
_DATABASE_FILES = ("gateway_image/gateway/control/rds_roots.pem",)


class FlagUpdate(PythonFunction):
    """Runs `lambdas/flag_update` on every change of a flag's parameter, and every five minutes.

    Events get lost; the schedule finds what they should have told. `database` is the third tier, which is
    reached from `network`; both or neither.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment_name: str,
        flags: Sequence[DeclaredFlag],
        stores: FlagStores,
        database: FlagDatabase | None,
        network: FunctionNetwork | None,
        log: FunctionLog,
    ) -> None:
        access = None if database is None else database.access(WRITER)
        further = [] if access is None else [access.statement]
        super().__init__(
            scope,
            construct_id,
            name="flag_update",
            description="Judges changed flags and keeps their tiers in agreement",
            log=log,
            statements=[*_permissions(cdk.Stack.of(scope), flags, stores), *further],
            variables=stores.variables(environment_name) | dict(access.variables if access else {}),
            shared=_SHARED,
            files=(FLAGS_FILE, *(_DATABASE_FILES if database else ())),
            layers=[database.layer] if database else [],
            network=network,
            accepted=AcceptedFindings(
                called_by="What a lost or failed call should have done is found by the schedule five minutes "
                "later at most; failures are an alarm, and a reservation would fail in accounts whose whole "
                "quota is ten.",
                outside_the_network=None
                if network
                else "It calls Parameter Store and DynamoDB, nothing in the VPC.",
            ),
        )
        if database is not None and network is not None:
            database.let_in(network.security_group, "Flag update to the flag database")
        self.on_change = events.Rule(
            self,
            "OnChange",
            description="A flag's parameter was put or deleted",
            event_pattern=events.EventPattern(
                source=["aws.ssm"],
                detail_type=["Parameter Store Change"],
                detail={
                    "name": [{"prefix": f"{stores.parameter_path}/"}],
                    "operation": ["Create", "Update", "Delete"],
                },
            ),
            targets=[targets.LambdaFunction(self.function)],
        )
        self.schedule = events.Rule(
            self,
            "EveryFiveMinutes",
            description="Flags are compared, whatever events told",
            schedule=events.Schedule.rate(RECONCILED_EVERY),
            targets=[
                targets.LambdaFunction(
                    self.function, event=events.RuleTargetInput.from_object({"reconcile": True})
                )
            ],
        )
        for rule in (self.on_change, self.schedule):
            rule.node.add_dependency(self.permissions)


def _permissions(
    stack: cdk.Stack, flags: Sequence[DeclaredFlag], stores: FlagStores
) -> Sequence[iam.PolicyStatement]:
    path = stack.format_arn(
        service="ssm", resource="parameter", resource_name=stores.parameter_path.removeprefix("/")
    )
    return (
        iam.PolicyStatement(sid="ReadAllFlags", actions=["ssm:GetParametersByPath"], resources=[path]),
        iam.PolicyStatement(
            sid="JudgeAndTakeBackFlags",
            actions=["ssm:GetParameterHistory", "ssm:PutParameter"],
            resources=stores.parameter_arns(stack, [flag.name for flag in flags]),
        ),
        iam.PolicyStatement(
            sid="KeepTheSecondTier",
            actions=["dynamodb:Scan", "dynamodb:PutItem"],
            resources=[stores.table.table_arn],
        ),
        *stores.recording(stack),
    )
