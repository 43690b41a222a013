"""Which services a function's own policy lets call it.

The emulator hands an event to a function whoever sends it. AWS asks the function's policy first.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from typing import Any


def may_invoke(function_arn: str, service: str, source: Mapping[str, str]) -> bool:
    """Whether the policy allows `service`, e.g. events.amazonaws.com, on behalf of `source`.

    `source` has what AWS would know of the call: `aws:SourceArn`, `aws:SourceAccount`. A condition on
    anything else is not met.
    """
    from ministack.services import lambda_svc

    found = lambda_svc.function_policy_for_arn(function_arn)
    statements = found[0].get("Statement", []) if found else []
    return any(_allows(statement, service, source) for statement in statements)


def _allows(statement: Mapping[str, Any], service: str, source: Mapping[str, str]) -> bool:
    known = {key.lower(): value for key, value in source.items()}
    return (
        statement.get("Effect") == "Allow"
        and statement.get("Principal") == {"Service": service}
        and statement.get("Action") == "lambda:InvokeFunction"
        and all(
            fnmatch.fnmatchcase(known.get(key.lower(), ""), str(pattern))
            for condition in statement.get("Condition", {}).values()
            for key, pattern in condition.items()
        )
    )
