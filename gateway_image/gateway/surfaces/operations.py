"""What the platform asks: is it alive, is it ready, how is it doing. No key is needed."""

from __future__ import annotations

from collections.abc import Callable

from gateway.surfaces.messages import Endpoint, Incoming, Outgoing, Routes, json_answer
from gateway.telemetry.metrics import CONTENT_TYPE, Metrics


class OperationsSurface:
    """`GET /health/live`, `/health/ready` and `/metrics`. `missing` names what readiness waits for."""

    def __init__(self, missing: Callable[[], tuple[str, ...]], metrics: Metrics) -> None:
        self._missing = missing
        self._metrics = metrics

    def routes(self) -> Routes:
        """The paths of this surface."""
        return {
            "/health/live": {"GET": Endpoint("live", self.live, None)},
            "/health/ready": {"GET": Endpoint("ready", self.ready, None)},
            "/metrics": {"GET": Endpoint("metrics", self.metrics, None)},
        }

    async def live(self, incoming: Incoming) -> Outgoing:  # noqa: ARG002 - every handler takes the request
        """The event loop turns: that is all liveness means."""
        return json_answer({"status": "live"})

    async def ready(self, incoming: Incoming) -> Outgoing:  # noqa: ARG002 - every handler takes the request
        """200 while requests can be answered, else 503 with what is missing."""
        missing = self._missing()
        if missing:
            return json_answer({"status": "not ready", "waiting_for": missing}, 503)
        return json_answer({"status": "ready"})

    async def metrics(self, incoming: Incoming) -> Outgoing:  # noqa: ARG002 - every handler takes the request
        """Everything measured, in Prometheus' format."""
        return Outgoing(200, self._metrics.exposition(), CONTENT_TYPE)
