"""Puts the additional resource types into the emulator's CloudFormation engine."""

from __future__ import annotations

from typing import Any

from ministack.services.cloudformation import provisioners

from local.emulator import (
    accepted,
    alarms,
    cache,
    databases,
    firewall,
    guardrails,
    network,
    rotation,
    secrets,
    tables,
    tasks,
    web_firewall,
)

_NATIVE = frozenset(provisioners._RESOURCE_HANDLERS)


def additional_handlers() -> dict[str, dict[str, Any]]:
    """Every handler this project adds or completes, by resource type."""
    combined: dict[str, dict[str, Any]] = {}
    for module in (
        network,
        firewall,
        web_firewall,
        guardrails,
        secrets,
        rotation,
        tables,
        cache,
        databases,
        tasks,
        alarms,
        accepted,
    ):
        combined |= module.handlers()
    return combined


def extend() -> None:
    """Add the handlers to the engine's table; what the engine handles natively is kept."""
    provisioners._RESOURCE_HANDLERS.update(additional_handlers())
    tables.enforce_table_policies()


def native_types() -> frozenset[str]:
    """Every resource type the emulator deploys by itself."""
    return _NATIVE


def handled_types() -> frozenset[str]:
    """Every resource type the extended emulator deploys."""
    return _NATIVE | frozenset(additional_handlers())
