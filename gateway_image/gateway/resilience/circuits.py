"""Every circuit of one gateway process: one for each provider and one for each model of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import msgspec

from gateway.control.registry import Provider
from gateway.providers.adapter import FailureKind
from gateway.resilience.circuit import Circuit, CircuitRules, CircuitState, Ticket

LONGEST_BACK_OFF_S = 60.0
"""A provider that asks for more is tried again all the same, by one probe."""

DEFAULT_BACK_OFF_S = 2.0
"""After a rate limit without a time."""

_OF_THE_MODEL = {
    FailureKind.AUTHENTICATION,
    FailureKind.OVERLOADED,
    FailureKind.TIMEOUT,
    FailureKind.PROTOCOL,
}
"""A refused credential is among them because access is often given model by model. A 429 is no failure but a
wish to be left alone; what the caller is at fault for says nothing of health."""

_ANSWERED = {
    FailureKind.AUTHENTICATION,
    FailureKind.RATE_LIMITED,
    FailureKind.OVERLOADED,
    FailureKind.PROTOCOL,
}
"""The provider was reached, so that its own circuit has no reason to open: that is for one that is not."""


class Opened(msgspec.Struct, frozen=True):
    """A circuit that has just opened, for the log."""

    name: str
    retry_after_s: float


class Circuits:
    """Judges outcomes of calls and says who may be called. For one event loop's use."""

    def __init__(
        self, rules: CircuitRules | None = None, *, share: Callable[[], float] = random.random
    ) -> None:
        self._rules = rules or CircuitRules()
        self._share = share
        self._circuits: dict[str, Circuit] = {}

    def paused(self, now_s: float) -> dict[str, float]:
        """Provider or model → seconds until it may be called again, for those that may not be now."""
        return {
            name: circuit.retry_after_s(now_s)
            for name, circuit in self._circuits.items()
            if not circuit.admits(now_s)
        }

    def admits(self, provider: Provider, key: str, now_s: float) -> bool:
        """Whether the model `key` may be called now."""
        names = (provider, key)
        return all(self._circuits[name].admits(now_s) for name in names if name in self._circuits)

    def acquire(self, provider: Provider, key: str, now_s: float) -> Permit | None:
        """Let a call of the model through, or not."""
        if not self.admits(provider, key, now_s):
            return None
        of_provider, of_model = self._circuit(provider), self._circuit(key)
        tickets = of_provider.acquire(now_s), of_model.acquire(now_s)
        assert tickets[0] is not None  # noqa: S101 - both admitted it just now
        assert tickets[1] is not None  # noqa: S101
        return Permit(provider, key, of_provider, of_model, tickets[0], tickets[1])

    def states(self, now_s: float) -> Iterator[tuple[str, CircuitState]]:
        """Every circuit that was ever used, by provider or model."""
        for name, circuit in self._circuits.items():
            yield name, circuit.state(now_s)

    def forget(self) -> None:
        """Know nothing of any failure, as a process that has just started."""
        self._circuits.clear()

    def _circuit(self, name: str) -> Circuit:
        circuit = self._circuits.get(name)
        if circuit is None:
            circuit = self._circuits[name] = Circuit(self._rules, share=self._share)
        return circuit


class Permit:
    """One call that was let through. Its first outcome counts, and a failure after a success."""

    def __init__(
        self,
        provider: str,
        key: str,
        of_provider: Circuit,
        of_model: Circuit,
        provider_ticket: Ticket,
        model_ticket: Ticket,
    ) -> None:
        self._provider = provider
        self._key = key
        self._of_provider = of_provider
        self._of_model = of_model
        self._provider_ticket = provider_ticket
        self._model_ticket = model_ticket
        self._settled = self._succeeded = False

    def succeeded(self, now_s: float, duration_s: float) -> None:
        """The call was answered. How long it took is judged of the model alone."""
        if self._settle():
            self._succeeded = True
            self._of_provider.succeeded(self._provider_ticket, now_s, 0.0)
            self._of_model.succeeded(self._model_ticket, now_s, duration_s)

    def failed(self, kind: FailureKind, retry_after_s: float | None, now_s: float) -> Opened | None:
        """The call failed; tells which circuit that has opened, if any."""
        if not self._settle():
            return self._broke_off(kind, now_s)
        if kind in _ANSWERED:
            self._of_provider.succeeded(self._provider_ticket, now_s, 0.0)
        if kind is FailureKind.RATE_LIMITED:
            pause_s = DEFAULT_BACK_OFF_S if retry_after_s is None else retry_after_s
            self._of_model.hold_open(now_s + min(max(pause_s, 0.0), LONGEST_BACK_OFF_S))
            return None
        if kind is FailureKind.UNREACHABLE:
            self._of_model.abandoned(self._model_ticket)
            return _judge(self._provider, self._of_provider, self._provider_ticket, now_s)
        if kind not in _ANSWERED:
            self._of_provider.abandoned(self._provider_ticket)
        if kind in _OF_THE_MODEL:
            return _judge(self._key, self._of_model, self._model_ticket, now_s)
        self._of_model.abandoned(self._model_ticket)
        return None

    def abandoned(self) -> None:
        """The call ended without a verdict."""
        if self._settle():
            self._of_provider.abandoned(self._provider_ticket)
            self._of_model.abandoned(self._model_ticket)

    def _broke_off(self, kind: FailureKind, now_s: float) -> Opened | None:
        """A stream that began well and then failed speaks against the model, not for it."""
        if not self._succeeded or kind not in _OF_THE_MODEL | {FailureKind.UNREACHABLE}:
            return None
        self._succeeded = False
        return _judge(self._key, self._of_model, self._of_model.ticket_of_now(), now_s)

    def _settle(self) -> bool:
        first, self._settled = not self._settled, True
        return first


def _judge(name: str, circuit: Circuit, ticket: Ticket, now_s: float) -> Opened | None:
    before = circuit.state(now_s)
    circuit.failed(ticket, now_s)
    opened = before is not CircuitState.OPEN and circuit.state(now_s) is CircuitState.OPEN
    return Opened(name, circuit.retry_after_s(now_s)) if opened else None
