"""How the simulated providers are told to behave: delays, answers and faults.

A setting is for a whole provider or for one of its models, for the next `times` requests or until
it is cleared. A model's own setting comes before its provider's.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from local.providers.exchange import (
    Asked,
    FinishReason,
    Reply,
    ToolCall,
    Usage,
    default_reply,
    plausible_usage,
)

FaultKind = Literal[
    "status",
    "hang",
    "reset",
    "close",
    "cut",
    "garbage",
    "content_type",
    "slow",
    "stall",
    "error_event",
    "garbage_event",
    "oversize_event",
    "no_end",
]


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to answer in place of the echo. Absent usage is made up; `null` reports none."""

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: FinishReason | None = None
    usage: Usage | msgspec.UnsetType | None = msgspec.UNSET


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What goes wrong.

    status        an error answer: `status`, and optionally the provider's `code`, `message`, `headers`
                  and a whole `body` of its own
    hang          no answer, the connection stays open
    reset         the connection is reset (RST) without an answer
    close         the connection is closed without an answer
    cut           the body ends after `after_bytes` of what was promised
    garbage       status 200 and bytes that are no JSON
    content_type  the right body under `content_type`
    slow          the right body in pieces of `after_bytes`, `pause_ms` apart

    In a streamed answer `cut` comes after `after_events` events, and there are further ones, which leave
    whole answers alone:

    stall           after `after_events` nothing more comes, the connection stays open
    error_event     after `after_events` an event says that the provider failed
    garbage_event   after `after_events` one event is no JSON
    oversize_event  after `after_events` one event has 3 MB
    no_end          the events that mark the end are left out
    """

    kind: FaultKind
    status: int = 503
    code: str = ""
    message: str = "simulated fault"
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    body: object = msgspec.UNSET
    after_bytes: int = 16
    after_events: int = 2
    pause_ms: float = 50
    content_type: str = "text/html"


class Behaviour(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One setting. Latency comes first, then the fault or the answer; streamed events keep a distance."""

    times: int | None = None
    latency_ms: float = 0
    event_pause_ms: float = 0
    answer: Answer | None = None
    fault: Fault | None = None


class Behaviours:
    """The settings in force."""

    def __init__(self) -> None:
        self._settings: dict[tuple[str, str | None], tuple[Behaviour, int | None]] = {}

    def put(self, provider: str, model: str | None, behaviour: Behaviour) -> None:
        """Replace the setting of a provider, or of one of its models."""
        self._settings[provider, model] = (behaviour, behaviour.times)

    def clear(self, provider: str | None = None, model: str | None = None) -> None:
        """Drop one setting, or all of them."""
        if provider is None:
            self._settings.clear()
        else:
            self._settings.pop((provider, model), None)

    def take(self, provider: str, model: str) -> Behaviour:
        """The setting for the next request, counting it down."""
        for key in ((provider, model), (provider, None)):
            if key not in self._settings:
                continue
            behaviour, left = self._settings[key]
            if left is None:
                return behaviour
            if left > 1:
                self._settings[key] = (behaviour, left - 1)
            else:
                del self._settings[key]
            if left > 0:
                return behaviour
        return Behaviour()

    def listing(self) -> list[dict[str, object]]:
        """All settings, with what is left of them."""
        return [
            {"provider": provider, "model": model, "left": left, "behaviour": msgspec.to_builtins(behaviour)}
            for (provider, model), (behaviour, left) in self._settings.items()
        ]


def reply_of(behaviour: Behaviour, provider: str, asked: Asked) -> Reply:
    """The answer a request gets under `behaviour`."""
    answer = behaviour.answer
    if answer is None:
        return default_reply(provider, asked)
    written = answer.text.encode() + msgspec.json.encode([call.arguments for call in answer.tool_calls])
    usage = plausible_usage(asked, written) if answer.usage is msgspec.UNSET else answer.usage
    finish_reason = answer.finish_reason or ("tool_calls" if answer.tool_calls else "stop")
    return Reply(answer.text, finish_reason, usage, answer.tool_calls)
