"""ElastiCache Serverless, recorded by the emulator's own ElastiCache."""

from __future__ import annotations

from typing import Any

from local.emulator.handlers import Properties, Provisioned, handler, physical_name
from local.emulator.service_calls import call

_PASSED_ON = (
    "Engine",
    "MajorEngineVersion",
    "Description",
    "KmsKeyId",
    "SecurityGroupIds",
    "SubnetIds",
    "UserGroupId",
    "DailySnapshotTime",
)
_MODIFIABLE = ("Description", "SecurityGroupIds", "UserGroupId", "DailySnapshotTime")


def _name(logical_id: str, properties: Properties, stack_name: str) -> str:
    name = properties.get("ServerlessCacheName") or physical_name(stack_name, logical_id, 40)
    return str(name).lower()


def _usage_limits(properties: Properties) -> dict[str, Any] | None:
    limits = properties.get("CacheUsageLimits")
    if not limits:
        return None
    return {
        dimension: {key: value if key == "Unit" else int(value) for key, value in limit.items()}
        for dimension, limit in limits.items()
    }


def _snapshot_retention(properties: Properties) -> int | None:
    return int(properties["SnapshotRetentionLimit"]) if "SnapshotRetentionLimit" in properties else None


def _provisioned(name: str) -> Provisioned:
    cache = call("elasticache", "DescribeServerlessCaches", ServerlessCacheName=name)["ServerlessCaches"][0]
    return name, {
        "ARN": cache["ARN"],
        "CreateTime": cache["CreateTime"].isoformat(),
        "Endpoint.Address": cache["Endpoint"]["Address"],
        "Endpoint.Port": str(cache["Endpoint"]["Port"]),
        "ReaderEndpoint.Address": cache["ReaderEndpoint"]["Address"],
        "ReaderEndpoint.Port": str(cache["ReaderEndpoint"]["Port"]),
        "FullEngineVersion": cache["FullEngineVersion"],
        "Status": cache["Status"],
    }


def _create(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    name = _name(logical_id, properties, stack_name)
    call(
        "elasticache",
        "CreateServerlessCache",
        ServerlessCacheName=name,
        CacheUsageLimits=_usage_limits(properties),
        SnapshotRetentionLimit=_snapshot_retention(properties),
        Tags=properties.get("Tags"),
        **{key: properties[key] for key in _PASSED_ON if key in properties},
    )
    return _provisioned(name)


def _update(
    physical_id: str, _old: Properties, new: Properties, _stack_name: str, _logical_id: str
) -> Provisioned:
    call(
        "elasticache",
        "ModifyServerlessCache",
        ServerlessCacheName=physical_id,
        CacheUsageLimits=_usage_limits(new),
        SnapshotRetentionLimit=_snapshot_retention(new),
        **{key: new[key] for key in _MODIFIABLE if key in new},
    )
    return _provisioned(physical_id)


def _delete(physical_id: str, _properties: Properties) -> None:
    call("elasticache", "DeleteServerlessCache", ServerlessCacheName=physical_id)


def handlers() -> dict[str, dict[str, Any]]:
    """Handlers by resource type."""
    return {"AWS::ElastiCache::ServerlessCache": handler(_create, _delete, _update)}
