"""The bookkeeping of one call of a model: its attempt in the record, its metrics, its circuits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from gateway.control.registry import RegistryItem
from gateway.providers.adapter import FailureKind, ProviderError
from gateway.resilience.circuits import Permit
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.record import ANSWERED, BROKEN, CANCELLED, Attempt, RequestRecord

logger = logging.getLogger(__name__)


class ModelCall:
    """Begins when it is made, and is settled once. `status` is the provider's, once it is known.

    What a refused credential says of the provider's health is left to whoever made the permit: it may be
    that of a key that was rotated meanwhile.
    """

    def __init__(
        self,
        item: RegistryItem,
        record: RequestRecord,
        permit: Permit,
        *,
        metrics: Metrics,
        clock: Callable[[], float],
    ) -> None:
        self.item = item
        self.status: int | None = None
        self._record = record
        self._permit = permit
        self._metrics = metrics
        self._clock = clock
        self._began_at_s = clock()
        self._settled = False

    def began_to_answer(self) -> None:
        """The first piece of a stream has come: the model is well, however long it goes on."""
        now_s = self._clock()
        self._permit.succeeded(now_s, now_s - self._began_at_s)

    def answered(self) -> None:
        """The whole answer has come."""
        self.began_to_answer()
        self._settle(ANSWERED)

    def broke_off(self, error: ProviderError) -> None:
        """The stream failed after something was passed on, so that nobody can stand in."""
        self._record.problem = error.message
        self._record.broken_off = True
        self._metrics.broke_off(self.item.key)

    def passed_over(self, events: int) -> None:
        """So many malformed events of the stream are left out of the answer."""
        if events:
            self._record.events_passed_over += events
            self._metrics.passed_over(self.item.key, events)

    def ended_by(self, error: BaseException) -> None:
        """The call ended by an exception."""
        if isinstance(error, ProviderError):
            self.status = error.status if error.status is not None else self.status
            if error.kind is not FailureKind.AUTHENTICATION:
                judge(self._permit, error, self._clock())
            self._settle(error.kind)
            return
        self._permit.abandoned()
        left = isinstance(error, asyncio.CancelledError | GeneratorExit)
        self._settle(CANCELLED if left else BROKEN)

    def _settle(self, outcome: str) -> None:
        if self._settled:
            return
        self._settled = True
        duration_ms = round((self._clock() - self._began_at_s) * 1000, 3)
        attempt = Attempt(self.item.key, self.item.version, outcome, self.status, duration_ms)
        self._record.attempts.append(attempt)
        self._metrics.attempted(attempt)


def judge(permit: Permit, error: ProviderError, now_s: float) -> None:
    """Count a failure against the model or its provider; log it where that opens a circuit."""
    opened = permit.failed(error.kind, error.retry_after_s, now_s)
    if opened is not None:
        logger.warning(
            "circuit opened",
            extra={
                "circuit": opened.name,
                "kind": error.kind,
                "problem": error.message,
                "retry_after_s": round(opened.retry_after_s, 3),
            },
        )
