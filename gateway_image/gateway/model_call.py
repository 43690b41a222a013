"""The bookkeeping of one call of a model: its attempt in the record, its metrics, its circuits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from gateway.control.registry import RegistryItem
from gateway.providers.adapter import FailureKind, ProviderError
from gateway.resilience.circuits import Circuits
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.record import ANSWERED, BROKEN, CANCELLED, Attempt, RequestRecord

logger = logging.getLogger(__name__)


class ModelCall:
    """Begins when it is made, and is settled once. `status` is the provider's, once it is known."""

    def __init__(
        self,
        item: RegistryItem,
        record: RequestRecord,
        *,
        metrics: Metrics,
        circuits: Circuits,
        clock: Callable[[], float],
    ) -> None:
        self.item = item
        self.status: int | None = None
        self._record = record
        self._metrics = metrics
        self._circuits = circuits
        self._clock = clock
        self._began_at_s = clock()
        self._settled = False
        circuits.acquire(item.provider, item.key, self._began_at_s)

    def began_to_answer(self) -> None:
        """The first piece of a stream has come: the model is well, however long it goes on."""
        now_s = self._clock()
        self._circuits.succeeded(self.item.provider, self.item.key, now_s, now_s - self._began_at_s)

    def answered(self) -> None:
        """The whole answer has come."""
        now_s = self._clock()
        self._circuits.succeeded(self.item.provider, self.item.key, now_s, now_s - self._began_at_s)
        self._settle(ANSWERED)

    def streamed(self) -> None:
        """The whole stream has come, after `began_to_answer`."""
        self._settle(ANSWERED)

    def broke_off(self, error: ProviderError) -> None:
        """The stream failed after something was passed on, so that nobody can stand in."""
        self._record.problem = error.message

    def ended_by(self, error: BaseException) -> None:
        """The call ended by an exception."""
        if isinstance(error, ProviderError):
            self._failed(error)
            return
        self._circuits.abandoned(self.item.provider, self.item.key)
        left = isinstance(error, asyncio.CancelledError | GeneratorExit)
        self._settle(CANCELLED if left else BROKEN)

    def _failed(self, error: ProviderError) -> None:
        self.status = error.status if error.status is not None else self.status
        if error.kind is FailureKind.AUTHENTICATION:
            # Whether it says anything of now, or of a key that has been rotated since, is seen later.
            self._circuits.abandoned(self.item.provider, self.item.key)
        else:
            judge(self._circuits, self.item, error, self._clock())
        self._settle(error.kind)

    def _settle(self, outcome: str) -> None:
        if self._settled:
            return
        self._settled = True
        duration_ms = round((self._clock() - self._began_at_s) * 1000, 3)
        attempt = Attempt(self.item.key, self.item.version, outcome, self.status, duration_ms)
        self._record.attempts.append(attempt)
        self._metrics.attempted(attempt)


def judge(circuits: Circuits, item: RegistryItem, error: ProviderError, now_s: float) -> None:
    """Count a failure against the model or its provider; log it where that opens a circuit."""
    opened = circuits.failed(item.provider, item.key, error.kind, error.retry_after_s, now_s)
    if opened is not None:
        logger.warning(
            "circuit opened",
            extra={
                "circuit": opened.name,
                "kind": opened.kind,
                "problem": error.message,
                "retry_after_s": round(opened.retry_after_s, 3),
            },
        )
