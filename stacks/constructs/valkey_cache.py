"""A serverless Valkey cache that only IAM-authenticated users can enter."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticache as elasticache
from aws_cdk import aws_kms as kms
from constructs import Construct

from stacks.settings import Cache

ENGINE = "valkey"
PORTS = (6379, 6380)
"""Primary and reader endpoint, https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/CreateServerless.html"""

GATEWAY_ACCESS = "on ~* &* -@all +@connection +@read +@write +@transaction +@scripting +@pubsub -@dangerous"
"""What the gateway's user may do: use data and scripts, not administer the cache."""


class ValkeyCache(Construct):
    """The cache, its one user and the group that admits it.

    ElastiCache demands names: they are `name`, `<name>-gateway` and `<name>-users`, at most 40 characters.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        settings: Cache,
        key: kms.IKey,
        vpc: ec2.IVpc,
        subnets: Sequence[ec2.ISubnet],
    ) -> None:
        super().__init__(scope, construct_id)
        self.security_group = ec2.SecurityGroup(
            self,
            "SecurityGroup",
            vpc=vpc,
            description="Valkey from those let in, nothing out",
            allow_all_outbound=False,
        )
        self.user = elasticache.CfnUser(
            self,
            "GatewayUser",
            engine=ENGINE,
            user_id=f"{name}-gateway",
            # IAM authentication wants the name to be the id.
            user_name=f"{name}-gateway",
            access_string=GATEWAY_ACCESS,
            authentication_mode={"Type": "iam"},
        )
        users = elasticache.CfnUserGroup(
            self, "Users", engine=ENGINE, user_group_id=f"{name}-users", user_ids=[self.user.ref]
        )
        self.cache = elasticache.CfnServerlessCache(
            self,
            "Cache",
            engine=ENGINE,
            major_engine_version="8",
            serverless_cache_name=name,
            description="Answers, limits and shared state of the AI gateway; all of it can be lost",
            cache_usage_limits=_limits(settings),
            kms_key_id=key.key_arn,
            security_group_ids=[self.security_group.security_group_id],
            subnet_ids=[subnet.subnet_id for subnet in subnets],
            snapshot_retention_limit=settings.snapshot_retention_days,
            user_group_id=users.ref,
        )
        # Losing what is cached harms nobody; keeping it would keep prompts longer than anybody wants.
        self.cache.apply_removal_policy(cdk.RemovalPolicy.DESTROY)


def _limits(settings: Cache) -> elasticache.CfnServerlessCache.CacheUsageLimitsProperty:
    return elasticache.CfnServerlessCache.CacheUsageLimitsProperty(
        data_storage=elasticache.CfnServerlessCache.DataStorageProperty(
            unit="GB", maximum=settings.maximum_data_gigabytes
        ),
        ecpu_per_second=elasticache.CfnServerlessCache.ECPUPerSecondProperty(
            maximum=settings.maximum_ecpu_per_second
        ),
    )
