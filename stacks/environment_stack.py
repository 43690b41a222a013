"""What every stack of an environment has in common: its name, place, tags and protection."""

from __future__ import annotations

import re
from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from constructs import Construct

from stacks.constructs.python_function import FunctionLog
from stacks.settings import Environment


def tags_of(environment: Environment) -> Mapping[str, str]:
    """The tags on every stack and resource of an environment."""
    return {
        "owner": environment.tags.owner,
        "service": environment.tags.service,
        "environment": environment.name,
        "cost-centre": environment.tags.cost_centre,
    }


class EnvironmentStack(cdk.Stack):
    """A stack of one environment.

    Its name follows from its construct id: `ModelRegistry` becomes `<prefix>-model-registry`. Account, region
    and zones are literal, so that nothing is looked up. A stateful stack is protected from deletion where
    the environment's `stateful_protection` says so.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        description: str,
        stateful: bool = False,
    ) -> None:
        self._availability_zones = list(environment.deployment.availability_zones)
        self.environment_settings = environment
        super().__init__(
            scope,
            construct_id,
            stack_name=f"{environment.stack_prefix}-{_words_joined_by_hyphens(construct_id)}",
            description=description,
            env=cdk.Environment(account=environment.deployment.account, region=environment.deployment.region),
            tags=tags_of(environment),
            termination_protection=stateful and environment.deployment.stateful_protection,
            synthesizer=cdk.DefaultStackSynthesizer(qualifier=environment.deployment.bootstrap_qualifier),
            permissions_boundary=_boundary(environment),
        )

    @property
    def availability_zones(self) -> list[str]:
        """The environment's zones, by their literal names."""
        return self._availability_zones

    @property
    def removal_policy(self) -> cdk.RemovalPolicy:
        """What becomes of data when its stack goes: kept where the environment is protected."""
        protected = self.environment_settings.deployment.stateful_protection
        return cdk.RemovalPolicy.RETAIN if protected else cdk.RemovalPolicy.DESTROY

    def function_log(self, key: kms.IKey) -> FunctionLog:
        """How the logs of this stack's functions are kept."""
        return FunctionLog(
            key=key,
            retention_days=self.environment_settings.gateway.log_retention_days,
            removal_policy=self.removal_policy,
        )


def _boundary(environment: Environment) -> cdk.PermissionsBoundary | None:
    """What is put on every role of a stack, those that the CDK makes by itself included."""
    name = environment.deployment.permissions_boundary
    return cdk.PermissionsBoundary.from_name(name) if name else None


def _words_joined_by_hyphens(construct_id: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", construct_id).lower()
