"""Handlers for the types of `inert.ACCEPTED`."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import Any

from ministack.core.responses import get_account_id, get_region

from local.emulator.handlers import Properties, Provisioned, handler, physical_name
from local.emulator.inert import ACCEPTED, AcceptedType


def _values(logical_id: str, properties: Properties, stack_name: str) -> defaultdict[str, str]:
    """What the table's templates may name; a property that is not set is empty text."""
    digest = hashlib.sha256(f"{stack_name}/{logical_id}".encode()).hexdigest()
    values: defaultdict[str, str] = defaultdict(str)
    values.update({name: str(value) for name, value in properties.items()})
    values.update(
        region=get_region(),
        account=get_account_id(),
        id="-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:32])),
        name=physical_name(stack_name, logical_id),
    )
    return values


def _handler(accepted: AcceptedType) -> dict[str, Any]:
    def create(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
        values = _values(logical_id, properties, stack_name)
        attributes = {name: text.format_map(values) for name, text in accepted.attributes.items()}
        return accepted.reference.format_map(values), attributes

    def delete(_physical_id: str, _properties: Properties) -> None:
        """Nothing was made."""

    return handler(create, delete)


def handlers() -> dict[str, dict[str, Any]]:
    """Handlers by resource type."""
    return {resource_type: _handler(accepted) for resource_type, accepted in ACCEPTED.items()}
