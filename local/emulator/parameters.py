"""Parameter Store as its users see it: changes are events, and the history says who made them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id, get_region, new_uuid

_CHANGED = "Parameter Store Change"


def complete() -> None:
    """Send EventBridge an event of every change, and note in the history who made it.

    https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-cwe.html
    """
    from ministack.services import ssm

    put, delete, delete_several = ssm._put_parameter, ssm._delete_parameter, ssm._delete_parameters

    def put_parameter(data: dict[str, Any]) -> Any:  # noqa: ANN401 - the emulator is untyped
        name = data.get("Name")
        operation = "Update" if name in ssm._parameters else "Create"
        answer = put(data)
        if answer[0] == 200:
            ssm._parameter_history[name][-1]["LastModifiedUser"] = iam_evaluator.caller_arn()
            _announce(str(name), str(ssm._parameters[name]["Type"]), operation)
        return answer

    def deleting(delete: Callable[[dict[str, Any]], Any], member: str) -> Callable[[dict[str, Any]], Any]:
        def run(data: dict[str, Any]) -> Any:  # noqa: ANN401 - the emulator is untyped
            named = data.get(member) or []
            names = [named] if isinstance(named, str) else list(named)
            types = {name: ssm._parameters[name]["Type"] for name in names if name in ssm._parameters}
            answer = delete(data)
            for name, type_name in types.items():
                if name not in ssm._parameters:
                    _announce(name, type_name, "Delete")
            return answer

        return run

    ssm._put_parameter = put_parameter
    ssm._delete_parameter = deleting(delete, "Name")
    ssm._delete_parameters = deleting(delete_several, "Names")


def _announce(name: str, type_name: str, operation: str) -> None:
    from ministack.services import eventbridge

    account, region = get_account_id(), get_region()
    eventbridge._dispatch_event(
        {
            "EventId": new_uuid(),
            "Source": "aws.ssm",
            "DetailType": _CHANGED,
            "Detail": json.dumps({"name": name, "type": type_name, "operation": operation}),
            "EventBusName": "default",
            "Time": eventbridge._now_ts(),
            "Resources": [f"arn:aws:ssm:{region}:{account}:parameter/{name.lstrip('/')}"],
            "Account": account,
            "Region": region,
        }
    )
