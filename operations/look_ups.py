"""Questions that are asked side by side and waited for until one moment, whatever hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

T = TypeVar("T")


class NoAnswerInTimeError(Exception):
    """A question was not answered by the moment that was set."""

    def __init__(self, within_s: float) -> None:
        super().__init__(f"no answer within {within_s:g} s")


class LookUps:
    """Asks questions; their answers are taken until `within_s` after it was made.

    A question that hangs is left behind in a thread that keeps nobody from ending.
    """

    def __init__(self, within_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._within_s = within_s
        self._clock = clock
        self._began_s = clock()

    @property
    def elapsed_s(self) -> float:
        """Seconds since it was made."""
        return self._clock() - self._began_s

    def ask(self, question: Callable[[], T]) -> Future[T]:
        """Begin to ask; returns at once."""
        answer: Future[T] = Future()

        def put() -> None:
            try:
                answer.set_result(question())
            except BaseException as error:  # whoever takes the answer is told
                answer.set_exception(error)

        threading.Thread(target=put, name="look-up", daemon=True).start()
        return answer

    def take(self, answer: Future[T]) -> T:
        """The answer.

        Raises:
            NoAnswerInTimeError: there is none by now, and the time is over.
            Exception: what asking raised.
        """
        wait([answer], timeout=max(0.0, self._within_s - self.elapsed_s))
        if not answer.done():
            raise NoAnswerInTimeError(self._within_s)
        return answer.result()
