"""The logs of a function, written with the permissions of its role as Lambda writes them."""

from __future__ import annotations

from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id, get_region


def complete() -> None:
    """Drop the log of an invocation whose role may not write it. The invocation itself goes on, as on AWS."""
    from ministack.services import lambda_svc

    emit = lambda_svc._emit_lambda_logs

    def emit_if_allowed(function: dict[str, Any], *details: object, **named: object) -> None:
        configuration = function.get("config") or function
        group = (configuration.get("LoggingConfig") or {}).get("LogGroup")
        name = group or f"/aws/lambda/{configuration.get('FunctionName')}"
        stream = f"arn:aws:logs:{get_region()}:{get_account_id()}:log-group:{name}:log-stream:new"
        actions = ("logs:CreateLogStream", "logs:PutLogEvents")
        if all(_may(str(configuration.get("Role")), action, stream) for action in actions):
            emit(function, *details, **named)

    lambda_svc._emit_lambda_logs = emit_if_allowed


def _may(role_arn: str, action: str, resource: str) -> bool:
    from ministack.services import iam

    account = get_account_id()
    role = role_arn.rsplit("/", 1)[-1]
    asked = iam_evaluator.EvalContext(
        principal_arn=f"arn:aws:sts::{account}:assumed-role/{role}/function",
        principal_type="AssumedRole",
        principal_account=account,
        action=action,
        resource_arn=resource,
        region=get_region(),
    )
    policies = iam_evaluator._gather_role_policies(role, account)
    limits = iam_evaluator._permissions_boundary(iam._roles, role, account)
    return bool(iam_evaluator.evaluate(asked, policies, *limits).decision == "Allow")
