"""Values that operators change while the gateway runs, read in the background and kept when a store fails.

Requests only ever read `Snapshot.value`, which is an attribute look-up. A thread of its own refreshes each
snapshot, so that neither a slow store nor a busy event loop delays the other.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import msgspec

T = TypeVar("T")
logger = logging.getLogger(__name__)

SHORTEST_SHARE_OF_INTERVAL = 0.8
"""Replicas that started together spread their reads over the last fifth of the interval."""


class Loaded(msgspec.Struct, Generic[T], frozen=True):
    """What a store holds, and what of it was refused because it was wrong."""

    value: T
    problems: tuple[str, ...] = ()


class Refreshed(Protocol):
    """A snapshot whatever it holds: what telemetry and the control plane need of one."""

    @property
    def name(self) -> str:
        """What is kept, as metrics and logs call it."""
        ...

    @property
    def attempts(self) -> int:
        """How often the store was asked."""
        ...

    @property
    def failures(self) -> int:
        """How often it did not answer, or with nothing usable."""
        ...

    @property
    def refused_values(self) -> int:
        """How many wrong values were met and not taken up."""
        ...

    @property
    def age_s(self) -> float | None:
        """Seconds since the store last answered; None before it ever did."""
        ...

    @property
    def complaints(self) -> tuple[str, ...]:
        """What was wrong at the last refresh."""
        ...

    def refresh(self) -> None:
        """Read the store once, in the calling thread. Never raises."""
        ...

    def start(self) -> None:
        """Begin to refresh; returns at once."""
        ...

    def stop(self) -> None:
        """End the refreshing."""
        ...


class Snapshot(Generic[T]):
    """The last good value of one store.

    `load` takes the value before (None at first) and returns the value now; it may block and raise. Parts
    that are wrong are kept from the value before and named in `Loaded.problems`.
    """

    def __init__(
        self,
        name: str,
        load: Callable[[T | None], Loaded[T]],
        *,
        interval_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.value: T | None = None
        self.attempts = 0
        self.failures = 0
        self.refused_values = 0
        self._load = load
        self._interval_s = interval_s
        self._clock = clock
        self._loaded_at_s: float | None = None
        self._complaints: tuple[str, ...] = ()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._watchers: list[Callable[[], None]] = []

    @property
    def age_s(self) -> float | None:
        """Seconds since the store last answered; None before it ever did."""
        loaded_at_s = self._loaded_at_s
        return None if loaded_at_s is None else self._clock() - loaded_at_s

    @property
    def complaints(self) -> tuple[str, ...]:
        """What was wrong at the last refresh."""
        return self._complaints

    def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed` whenever another value was taken up, in the thread that did. It must not block."""
        self._watchers.append(changed)

    def refresh(self) -> None:
        """Read the store once, in the calling thread. Never raises: a failure keeps the value before."""
        with self._lock:
            try:
                loaded = self._load(self.value)
            except Exception as error:  # whatever a store does, the value before stays in force
                self.failures += 1
                self._complain((f"{type(error).__name__}: {error}",))
            else:
                changed = loaded.value != self.value
                self.value = loaded.value
                self._loaded_at_s = self._clock()
                self._complain(loaded.problems)
                self.refused_values += len(loaded.problems)
                for watcher in self._watchers if changed else ():
                    watcher()
            finally:
                self.attempts += 1

    def start(self) -> None:
        """Refresh now and then every interval, until `stop`."""
        threading.Thread(target=self._run, name=f"snapshot-{self.name}", daemon=True).start()

    def stop(self) -> None:
        """End the refreshing; a read under way is not waited for."""
        self._stopping.set()

    def pause_s(self) -> float:
        """Seconds until the next refresh."""
        jitter = random.uniform(SHORTEST_SHARE_OF_INTERVAL, 1.0)  # noqa: S311 - no secret depends on it
        return self._interval_s * jitter

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.refresh()
            self._stopping.wait(self.pause_s())

    def _complain(self, complaints: tuple[str, ...]) -> None:
        """Log each complaint once, when it appears, and once when all is well again."""
        for complaint in complaints:
            if complaint not in self._complaints:
                logger.warning("snapshot not taken up", extra={"snapshot": self.name, "problem": complaint})
        if self._complaints and not complaints:
            logger.info("snapshot good again", extra={"snapshot": self.name})
        self._complaints = complaints
