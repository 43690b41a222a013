"""What CloudWatch says through SNS when an alarm changes its state."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

ALARM = "ALARM"
_TIME = "%Y-%m-%dT%H:%M:%S.%f%z"


class MalformedError(ValueError):
    """A message that is none of CloudWatch's; says what is wrong with it."""


@dataclass(frozen=True, kw_only=True)
class StateChange:
    """An alarm's new state, since when, and why."""

    alarm: str
    arn: str
    state: str
    since: datetime
    reason: str


def records(event: object) -> Iterator[object]:
    """The records of an event of SNS.

    Raises:
        MalformedError: it has none.
    """
    found = event.get("Records") if isinstance(event, Mapping) else None
    if not isinstance(found, list) or not found:
        raise MalformedError("it has no Records; only SNS calls this function")
    yield from found


def state_change(record: object) -> StateChange:
    """What a record of SNS says.

    Raises:
        MalformedError: it does not come from CloudWatch.
    """
    sns = record.get("Sns") if isinstance(record, Mapping) else None
    text = sns.get("Message") if isinstance(sns, Mapping) else None
    if not isinstance(text, str):
        raise MalformedError("a record has no Sns.Message")
    try:
        message = json.loads(text)
    except ValueError:
        raise MalformedError("Sns.Message is no JSON") from None
    if not isinstance(message, dict):
        raise MalformedError("Sns.Message is no object")
    for name in ("AlarmName", "AlarmArn", "NewStateValue", "StateChangeTime"):
        if not isinstance(message.get(name), str):
            raise MalformedError(f"Sns.Message has no text {name}")
    return StateChange(
        alarm=message["AlarmName"],
        arn=message["AlarmArn"],
        state=message["NewStateValue"],
        since=_moment(message["StateChangeTime"]),
        reason=str(message.get("NewStateReason", "")),
    )


def _moment(text: str) -> datetime:
    try:
        return datetime.strptime(text, _TIME)
    except ValueError:
        raise MalformedError(f"StateChangeTime is {text[:40]!r}, no time with a zone") from None
