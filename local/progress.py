"""Steps of a long command, printed as they end, with the time each took."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO


class StepError(Exception):
    """A step that failed: `reason` says why, `remedy` what to do, `details` shows the last lines."""

    def __init__(self, reason: str, remedy: str, details: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy
        self.details = details


class Progress:
    """Prints one line a step. Steps may run side by side."""

    def __init__(self, output: TextIO = sys.stdout, clock: Callable[[], float] = time.monotonic) -> None:
        self._output = output
        self._clock = clock
        self._start = clock()
        self._lock = threading.Lock()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the command started."""
        return self._clock() - self._start

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Run a step; its line says how it ended and how long it took."""
        step = Step(title)
        start = self._clock()
        try:
            yield step
        except BaseException as error:
            mark = "-" if isinstance(error, KeyboardInterrupt) else "✗"
            self._print(f"  {mark} {step.title} ({self._clock() - start:.1f} s)")
            raise
        self._print(f"  ✓ {step.title} ({self._clock() - start:.1f} s)")

    def say(self, text: str) -> None:
        """Print text of its own."""
        self._print(text)

    def _print(self, text: str) -> None:
        with self._lock:
            self._output.write(text + "\n")
            self._output.flush()


class Step:
    """A running step; its title may get what was found out on the way."""

    def __init__(self, title: str) -> None:
        self.title = title

    def note(self, text: str) -> None:
        """Add to the title."""
        self.title += f": {text}"
