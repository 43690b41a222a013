"""What the emulator's CloudFormation engine expects of a resource type's handler.

The engine keeps one table from type name to three functions. `create` and `update` return the
resource's physical id (what `Ref` yields) and its attributes (what `Fn::GetAtt` yields).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from ministack.services.cloudformation import provisioners

Properties: TypeAlias = Mapping[str, Any]
Provisioned: TypeAlias = tuple[str, dict[str, Any]]
Create: TypeAlias = Callable[[str, Properties, str], Provisioned]
Update: TypeAlias = Callable[[str, Properties, Properties, str, str], Provisioned]
Delete: TypeAlias = Callable[[str, Properties], None]


def handler(create: Create, delete: Delete, update: Update | None = None) -> dict[str, Any]:
    """An entry of the engine's table.

    Without `update` the engine replaces a changed resource: it creates it anew and deletes the old
    one at the end of the stack's update.
    """
    entry: dict[str, Any] = {"create": create, "delete": delete}
    return entry if update is None else entry | {"update": update, "update_with_logical_id": True}


def physical_name(stack_name: str, logical_id: str, maximum_length: int = 128) -> str:
    """The name CloudFormation invents for a resource whose template names none."""
    return str(provisioners._physical_name(stack_name, logical_id, max_len=maximum_length))
