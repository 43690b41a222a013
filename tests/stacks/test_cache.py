"""The Cache stack: who may enter the cache, from where, and what it may cost."""

from __future__ import annotations

from tests.stacks.synthesis import Synthesis


def test_the_cache_is_valkey_in_subnets_without_a_way_out(every_environment: Synthesis) -> None:
    cache = every_environment.only("AWS::ElastiCache::ServerlessCache")

    zones = len(every_environment.environment.deployment.availability_zones)
    assert cache["Engine"] == "valkey"
    assert len(cache["SubnetIds"]) == zones
    assert all("isolated" in str(subnet) for subnet in cache["SubnetIds"])


def test_size_and_work_are_limited_by_the_settings(every_environment: Synthesis) -> None:
    cache = every_environment.only("AWS::ElastiCache::ServerlessCache")
    settings = every_environment.environment.cache

    assert cache["CacheUsageLimits"] == {
        "DataStorage": {"Maximum": settings.maximum_data_gigabytes, "Unit": "GB"},
        "ECPUPerSecond": {"Maximum": settings.maximum_ecpu_per_second},
    }
    assert cache["SnapshotRetentionLimit"] == settings.snapshot_retention_days == 0


def test_it_is_encrypted_with_its_own_rotated_key(production: Synthesis) -> None:
    (key,) = production.resources("AWS::KMS::Key", "Cache")

    cache = production.only("AWS::ElastiCache::ServerlessCache")
    assert cache["KmsKeyId"] == {"Fn::GetAtt": [key.logical_id, "Arn"]}
    assert key.properties["EnableKeyRotation"] is True


def test_the_only_user_proves_itself_by_iam_and_has_no_password(production: Synthesis) -> None:
    (user,) = production.resources("AWS::ElastiCache::User", "Cache")

    assert user.properties["AuthenticationMode"] == {"Type": "iam"}
    assert user.properties["UserId"] == user.properties["UserName"]
    assert "Passwords" not in user.properties
    assert "NoPasswordRequired" not in user.properties
    group = production.only("AWS::ElastiCache::UserGroup")
    assert group["UserIds"] == [{"Ref": user.logical_id}]
    assert "Users" in production.only("AWS::ElastiCache::ServerlessCache")["UserGroupId"]["Ref"]


def test_the_user_cannot_administer_the_cache(production: Synthesis) -> None:
    rules = production.only("AWS::ElastiCache::User", "Cache")["AccessString"].split()

    assert rules.index("-@all") < rules.index("+@read")
    assert rules[-1] == "-@dangerous"
    assert not {"+@all", "+@admin"} & set(rules)


def test_nobody_reaches_it_by_its_own_stack(every_environment: Synthesis) -> None:
    """Who may, says so with both ends: see `test_security_groups.py`."""
    (group,) = every_environment.resources("AWS::EC2::SecurityGroup", "Cache")

    assert "SecurityGroupIngress" not in group.properties
    assert [rule["CidrIp"] for rule in group.properties["SecurityGroupEgress"]] == ["255.255.255.255/32"]


def test_the_names_elasticache_demands_fit_its_limit(every_environment: Synthesis) -> None:
    names = [
        value
        for resource in every_environment.resources(stack="Cache")
        for key, value in resource.properties.items()
        if key in ("ServerlessCacheName", "UserId", "UserName", "UserGroupId") and isinstance(value, str)
    ]

    assert len(names) == 4
    assert all(name.startswith("ai-orchestration-") and len(name) <= 40 for name in names)
