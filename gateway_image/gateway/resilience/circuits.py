"""Every circuit of one gateway process: one for each provider and one for each model of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import msgspec

from gateway.control.registry import Provider
from gateway.providers.adapter import FailureKind
from gateway.resilience.circuit import Circuit, CircuitRules, CircuitState

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
    """A circuit that has just opened, for the log and for other replicas."""

    name: str
    kind: FailureKind
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

    def acquire(self, provider: Provider, key: str, now_s: float) -> bool:
        """Let a call of the model through, or not; one that is let through must be settled once."""
        of_provider, of_model = self._circuit(provider), self._circuit(key)
        if not of_model.admits(now_s) or not of_provider.acquire(now_s):
            return False
        return of_model.acquire(now_s)

    def succeeded(self, provider: Provider, key: str, now_s: float, duration_s: float) -> None:
        """The call was answered. How long it took is judged of the model alone."""
        self._circuit(provider).succeeded(now_s, 0.0)
        self._circuit(key).succeeded(now_s, duration_s)

    def failed(
        self, provider: Provider, key: str, kind: FailureKind, retry_after_s: float | None, now_s: float
    ) -> Opened | None:
        """The call failed; tells which circuit that has opened, if any."""
        of_provider, of_model = self._circuit(provider), self._circuit(key)
        if kind in _ANSWERED:
            of_provider.succeeded(now_s, 0.0)
        if kind is FailureKind.RATE_LIMITED:
            pause_s = DEFAULT_BACK_OFF_S if retry_after_s is None else retry_after_s
            of_model.hold_open(now_s + min(max(pause_s, 0.0), LONGEST_BACK_OFF_S))
            return None
        if kind is FailureKind.UNREACHABLE:
            of_model.abandoned()
            return self._judge(provider, of_provider, kind, now_s)
        if kind not in _ANSWERED:
            of_provider.abandoned()
        if kind in _OF_THE_MODEL:
            return self._judge(key, of_model, kind, now_s)
        of_model.abandoned()
        return None

    def abandoned(self, provider: Provider, key: str) -> None:
        """The call ended without a verdict."""
        self._circuit(provider).abandoned()
        self._circuit(key).abandoned()

    def forget(self) -> None:
        """Know nothing of any failure, as a process that has just started."""
        self._circuits.clear()

    def states(self, now_s: float) -> Iterator[tuple[str, CircuitState]]:
        """Every circuit that was ever used, by provider or model."""
        for name, circuit in self._circuits.items():
            yield name, circuit.state(now_s)

    def _judge(self, name: str, circuit: Circuit, kind: FailureKind, now_s: float) -> Opened | None:
        before = circuit.state(now_s)
        circuit.failed(now_s)
        opened = before is not CircuitState.OPEN and circuit.state(now_s) is CircuitState.OPEN
        return Opened(name, kind, circuit.retry_after_s(now_s)) if opened else None

    def _circuit(self, name: str) -> Circuit:
        circuit = self._circuits.get(name)
        if circuit is None:
            circuit = self._circuits[name] = Circuit(self._rules, share=self._share)
        return circuit
