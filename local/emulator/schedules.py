"""EventBridge's schedules and rules: they fire on time, and only what lets them call it."""

from __future__ import annotations

import logging
from typing import Any

from ministack.core.responses import get_account_id

from local.emulator.function_policies import may_invoke

_LOG = logging.getLogger("local.schedules")
_TICK_S = 1
EVENTS = "events.amazonaws.com"


def complete() -> None:
    """Look for schedules that are due every second, and ask a function's policy before it is called."""
    from ministack.services import eventbridge

    eventbridge._SCHEDULER_TICK_INTERVAL = _TICK_S
    invoke = eventbridge._invoke_target

    def invoke_if_allowed(
        target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], *further: object
    ) -> None:
        arn = str(target.get("Arn", ""))
        source = {"aws:SourceArn": str(rule.get("Arn", "")), "aws:SourceAccount": get_account_id()}
        if ":lambda:" in arn and not may_invoke(arn, EVENTS, source):
            _LOG.warning("%s does not let the rule %s call it", arn, rule.get("Name"))
            return
        invoke(target, event, rule, *further)

    eventbridge._invoke_target = invoke_if_allowed
