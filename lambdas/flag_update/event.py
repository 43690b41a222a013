"""Which events are a reason to look. None says what to do: they get lost, late, doubled and out of order."""

from __future__ import annotations

from collections.abc import Mapping

RECONCILE = "reconcile"
"""The schedule sends `{"reconcile": true}`."""


def objection(event: object, path: str) -> str | None:
    """Why `event` is no reason to look at the flags below `path`; None where it is one."""
    if not isinstance(event, Mapping):
        return f"it is a {type(event).__name__}, not an object"
    if dict(event) == {RECONCILE: True}:
        return None
    if event.get("source") != "aws.ssm" or event.get("detail-type") != "Parameter Store Change":
        return "it is neither a change in Parameter Store nor the schedule's"
    detail = event.get("detail")
    name = detail.get("name") if isinstance(detail, Mapping) else None
    if not isinstance(name, str) or not name.startswith(f"{path}/"):
        return f"it is about {str(name)[:100]!r}, which is not below {path}"
    return None
