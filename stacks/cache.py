"""Cache: what the gateway's tasks share for a while and can lose."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from stacks.constructs.encryption_key import EncryptionKey, Holder
from stacks.constructs.valkey_cache import ValkeyCache
from stacks.environment_stack import EnvironmentStack
from stacks.settings import Environment


class CacheStack(EnvironmentStack):
    """Owns the Valkey cache and the key it is encrypted with."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        vpc: ec2.IVpc,
        isolated_subnets: Sequence[ec2.ISubnet],
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            environment=environment,
            description="Valkey cache of the AI gateway; all of it can be lost",
            stateful=True,
        )
        self.key = EncryptionKey(
            self,
            "Key",
            description="Encrypts the cache of the AI gateway",
            removal_policy=self.removal_policy,
            holder=Holder.ELASTICACHE,
        )
        self.valkey = ValkeyCache(
            self,
            "Valkey",
            name=environment.stack_prefix,
            settings=environment.cache,
            key=self.key,
            vpc=vpc,
            subnets=isolated_subnets,
        )
