"""The figure that scaling follows: how many requests a task is answering at the same moment."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
from collections.abc import Iterator

import pytest

from gateway.telemetry.in_flight import LOOKS_PER_LINE, InFlightMetric
from gateway.telemetry.logs import configure_logging
from tests.gateway.running import Gateway
from tests.gateway.upstreams import Upstreams


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """The gateway's log as the container writes it where only errors are logged."""
    root, gateway = logging.getLogger(), logging.getLogger("gateway")
    handlers, levels = root.handlers[:], (root.level, gateway.level)
    with contextlib.redirect_stdout(io.StringIO()) as output:
        configure_logging("ERROR")
        (handler,) = root.handlers
        root.handlers[:] = handlers
        gateway.addHandler(handler)
        yield output
    gateway.removeHandler(handler)
    root.setLevel(levels[0])
    gateway.setLevel(levels[1])


def lines(log: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def test_what_was_seen_is_sent_as_one_metric_line_whatever_the_log_level(log: io.StringIO) -> None:
    counts = iter(range(LOOKS_PER_LINE + 1))
    metric = InFlightMetric(lambda: next(counts), "production", now_s=lambda: 1_795_000_000.25)
    for _ in range(LOOKS_PER_LINE):
        metric.look()
    (line,) = lines(log)
    assert line["_aws"] == {
        "Timestamp": 1_795_000_000_250,
        "CloudWatchMetrics": [
            {
                "Namespace": "AiOrchestration/Gateway",
                "Dimensions": [["Environment"]],
                "Metrics": [{"Name": "InFlightRequests", "Unit": "Count"}],
            }
        ],
    }
    assert line["Environment"] == "production"
    assert line["InFlightRequests"] == list(range(LOOKS_PER_LINE))
    metric.look()
    assert len(lines(log)) == 1


def test_a_line_holds_no_more_values_than_the_format_allows() -> None:
    assert 1 <= LOOKS_PER_LINE <= 100


async def test_looking_goes_on_until_it_is_cancelled(log: io.StringIO) -> None:
    metric = InFlightMetric(lambda: 3, "test")
    running = asyncio.ensure_future(metric.run(look_every_s=0.001))
    async with asyncio.timeout(5):
        while not (found := lines(log)):  # noqa: ASYNC110 - a log, not an event
            await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert found[0]["InFlightRequests"] == [3] * LOOKS_PER_LINE


async def test_a_running_gateway_counts_the_request_it_waits_for(
    gateway: Gateway, upstreams: Upstreams
) -> None:
    upstreams.bedrock.hold.clear()
    asking = asyncio.ensure_future(gateway.route(domain="medical"))
    await asyncio.wait_for(upstreams.bedrock.asked.wait(), 5)
    assert gateway.application.http.in_flight == 1
    upstreams.bedrock.hold.set()
    assert (await asking).status == 200
    assert gateway.application.http.in_flight == 0
