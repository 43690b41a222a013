"""One circuit breaker: a sliding window of outcomes, and few probes after it has opened.

Closed, open, half-open as in Nygard, "Release It!", 2nd edition, chapter 5; a window by time with an error
rate and a slow-call rate as in resilience4j. Pure but for the state it keeps: the clock comes in as an
argument, in seconds of any one origin.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Callable

import msgspec

BUCKETS = 10
"""Parts of the window; the oldest is forgotten as a whole."""


class CircuitState(enum.StrEnum):
    """Whether calls go through: all, none, or one at a time to see whether the other side is back."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class CircuitRules(msgspec.Struct, frozen=True):
    """When a circuit opens and when it is tried again.

    It opens when, of at least `minimum_calls` in the last `window_s` seconds, the share `error_rate` failed
    or the share `slow_call_rate` took longer than `slow_call_s`. A window is slow to tell a sudden death,
    under little traffic as under much: so it also opens at `consecutive_failures`, and at two where the
    window, however few its calls, has that share of failures. It stays open for `first_pause_s`, doubled
    with each probe that fails up to `longest_pause_s`, each shortened by up to `jitter` so that replicas do
    not probe together. `probes` successes in a row close it.
    """

    window_s: float = 30.0
    minimum_calls: int = 10
    error_rate: float = 0.5
    slow_call_s: float = 60.0
    slow_call_rate: float = 0.8
    consecutive_failures: int = 3
    first_pause_s: float = 2.0
    longest_pause_s: float = 30.0
    jitter: float = 0.2
    probes: int = 1
    probe_timeout_s: float = 130.0
    """After so long a probe that never ended is taken for lost: longer than any call may take."""


class Ticket(msgspec.Struct, frozen=True):
    """A call that was let through: in which life of the circuit, and whether as its probe.

    A life ends with each opening and each closing. What is told of a call from an earlier one is old news.
    """

    life: int
    is_probe: bool = False


class _Bucket:
    __slots__ = ("calls", "failures", "number", "slow")

    def __init__(self) -> None:
        self.restart(-1)

    def restart(self, number: int) -> None:
        self.number = number
        self.calls = self.failures = self.slow = 0


class Circuit:
    """The breaker in front of one thing that is called. Not for use by several threads."""

    def __init__(
        self,
        rules: CircuitRules,
        *,
        share: Callable[[], float] = random.random,
    ) -> None:
        self._rules = rules
        self._share = share
        self._buckets = [_Bucket() for _ in range(BUCKETS)]
        self._life = 0
        self._consecutive_failures = 0
        self._open_until_s: float | None = None
        self._pause_s = rules.first_pause_s
        self._probe_since_s: float | None = None
        self._probes_passed = 0

    def state(self, now_s: float) -> CircuitState:
        """The state at `now_s`."""
        if self._open_until_s is None:
            return CircuitState.CLOSED
        return CircuitState.OPEN if now_s < self._open_until_s else CircuitState.HALF_OPEN

    def admits(self, now_s: float) -> bool:
        """Whether a call would be let through; takes nothing."""
        state = self.state(now_s)
        return state is CircuitState.CLOSED or (state is CircuitState.HALF_OPEN and not self._probing(now_s))

    def acquire(self, now_s: float) -> Ticket | None:
        """Let a call through, or not. Of one that is let through one outcome is told, with its ticket."""
        if not self.admits(now_s):
            return None
        if self._open_until_s is None:
            return Ticket(self._life)
        self._probe_since_s = now_s
        self._life += 1  # a probe that was taken for lost has no say any more
        return Ticket(self._life, is_probe=True)

    def ticket_of_now(self) -> Ticket:
        """For an outcome that is told in addition, such as the end of a stream that had begun well."""
        return Ticket(self._life)

    def retry_after_s(self, now_s: float) -> float:
        """Seconds until a call may be let through again; 0 where it may be now."""
        if self._open_until_s is None:
            return 0.0
        return max(0.0, self._open_until_s - now_s)

    def succeeded(self, ticket: Ticket, now_s: float, duration_s: float) -> None:
        """A call was answered, after `duration_s` seconds."""
        if ticket.life != self._life:
            return
        slow = duration_s > self._rules.slow_call_s
        if ticket.is_probe:
            self._probe_passed(now_s, slow)
            return
        self._count(now_s).slow += slow
        self._consecutive_failures = 0
        if slow and self._too_bad(now_s, self._rules.minimum_calls):
            self._open(now_s)

    def failed(self, ticket: Ticket, now_s: float) -> None:
        """A call failed in a way that speaks of the other side's health."""
        if ticket.life != self._life:
            return
        if ticket.is_probe:
            self._pause_s = min(2 * self._pause_s, self._rules.longest_pause_s)
            self._open(now_s)
            return
        if self._open_until_s is not None:
            return
        self._count(now_s).failures += 1
        self._consecutive_failures += 1
        few = 2 if self._consecutive_failures > 1 else self._rules.minimum_calls
        if self._consecutive_failures >= self._rules.consecutive_failures or self._too_bad(now_s, few):
            self._open(now_s)

    def abandoned(self, ticket: Ticket) -> None:
        """A call ended without a verdict: the caller left, or the request itself was at fault."""
        if ticket.is_probe and ticket.life == self._life:
            self._probe_since_s = None

    def hold_open(self, until_s: float) -> None:
        """Let nothing through before `until_s`: the other side asked for it."""
        self._begin_life()
        self._open_until_s = max(until_s, self._open_until_s or until_s)

    def _probing(self, now_s: float) -> bool:
        since_s = self._probe_since_s
        return since_s is not None and now_s - since_s < self._rules.probe_timeout_s

    def _probe_passed(self, now_s: float, slow: bool) -> None:
        self._probe_since_s = None
        if slow:
            self._open(now_s)
            return
        self._probes_passed += 1
        if self._probes_passed >= self._rules.probes:
            self._close()

    def _close(self) -> None:
        self._begin_life()
        self._open_until_s = None
        self._pause_s = self._rules.first_pause_s

    def _open(self, now_s: float) -> None:
        self._begin_life()
        self._open_until_s = now_s + self._pause_s * (1.0 - self._rules.jitter * self._share())

    def _begin_life(self) -> None:
        self._life += 1
        self._probe_since_s = None
        self._probes_passed = self._consecutive_failures = 0
        for bucket in self._buckets:
            bucket.restart(-1)

    def _count(self, now_s: float) -> _Bucket:
        number = self._bucket_number(now_s)
        bucket = self._buckets[number % BUCKETS]
        if bucket.number != number:
            bucket.restart(number)
        bucket.calls += 1
        return bucket

    def _too_bad(self, now_s: float, minimum_calls: int) -> bool:
        oldest = self._bucket_number(now_s) - BUCKETS
        recent = [bucket for bucket in self._buckets if bucket.number > oldest]
        calls = sum(bucket.calls for bucket in recent)
        if calls < minimum_calls:
            return False
        failures = sum(bucket.failures for bucket in recent)
        slow = sum(bucket.slow for bucket in recent)
        return failures >= self._rules.error_rate * calls or slow >= self._rules.slow_call_rate * calls

    def _bucket_number(self, now_s: float) -> int:
        return int(now_s * BUCKETS / self._rules.window_s)
