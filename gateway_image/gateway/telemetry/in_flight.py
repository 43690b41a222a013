"""Tells CloudWatch how many requests a task is answering at the same moment, for scaling to follow.

The figure goes out as a log line in the embedded metric format, which CloudWatch Logs turns into a metric
of itself: the task needs no permission and opens no connection for it.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

The count is looked at once a second, and the looks of a while are sent together. Each weighs the same, so the
metric's `Average` is the mean over time and over tasks: requests in flight per task.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

NAMESPACE = "AiOrchestration/Gateway"
METRIC = "InFlightRequests"
DIMENSION = "Environment"
"""The only one: a value per task would cost a metric per task, and scaling wants the mean of all."""

LOOK_EVERY_S = 1.0
LOOKS_PER_LINE = 15
"""At most 100, the format's limit of values; four lines a minute feed the metric's minutes evenly."""

logger = logging.getLogger(__name__)
logger.setLevel(
    logging.INFO
)  # it is measurement, not talk: scaling must not go blind where LOG_LEVEL is ERROR


class InFlightMetric:
    """Looks at `count` and logs what it saw; `run` does so until it is cancelled."""

    def __init__(
        self,
        count: Callable[[], int],
        environment: str,
        *,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._count = count
        self._environment = environment
        self._now_s = now_s
        self._looks: list[int] = []

    async def run(self, look_every_s: float = LOOK_EVERY_S) -> None:
        """Look every `look_every_s` seconds."""
        while True:
            await asyncio.sleep(look_every_s)
            self.look()

    def look(self) -> None:
        """Look once, and send the looks where there are enough of them."""
        self._looks.append(self._count())
        if len(self._looks) >= LOOKS_PER_LINE:
            looks, self._looks = self._looks, []
            logger.info("requests in flight", extra=self._line(looks))

    def _line(self, looks: list[int]) -> dict[str, object]:
        directive = {
            "Namespace": NAMESPACE,
            "Dimensions": [[DIMENSION]],
            "Metrics": [{"Name": METRIC, "Unit": "Count"}],
        }
        return {
            "_aws": {"Timestamp": int(self._now_s() * 1000), "CloudWatchMetrics": [directive]},
            DIMENSION: self._environment,
            METRIC: looks,
        }
