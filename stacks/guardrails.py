"""Guardrails: what is blocked in prompts and answers, by domain."""

from __future__ import annotations

from collections.abc import Mapping

from constructs import Construct

from stacks.constructs.domain_guardrail import DomainGuardrail
from stacks.constructs.encryption_key import EncryptionKey, Holder
from stacks.environment_stack import EnvironmentStack
from stacks.settings import Environment


class GuardrailsStack(EnvironmentStack):
    """Owns one guardrail for each domain, and the key they are encrypted with.

    `guardrails` has them by domain; `general` is for every domain that has none of its own.
    Text is judged inside the region's part of the world: the profile of an EU region stays in the EU.
    """

    def __init__(self, scope: Construct, construct_id: str, *, environment: Environment) -> None:
        super().__init__(
            scope,
            construct_id,
            environment=environment,
            description="What the AI gateway blocks in prompts and answers, by domain",
        )
        self.key = EncryptionKey(
            self,
            "Key",
            description="Encrypts the guardrails of the AI gateway",
            removal_policy=self.removal_policy,
            holder=Holder.BEDROCK,
        )
        self.guardrails: Mapping[str, DomainGuardrail] = {
            domain: DomainGuardrail(
                self,
                domain.capitalize(),
                name=f"{environment.stack_prefix}-{domain}",
                policy=policy,
                profile_arn=self._profile_arn(environment),
                key=self.key,
            )
            for domain, policy in environment.guardrail_policies.items()
        }

    def _profile_arn(self, environment: Environment) -> str:
        deployment = environment.deployment
        return (
            f"arn:aws:bedrock:{deployment.region}:{deployment.account}"
            f":guardrail-profile/{environment.guardrail_profile}"
        )
