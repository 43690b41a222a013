"""Serves the application until it is told to stop, and then lets requests finish."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
from collections.abc import Iterator

import uvicorn

from gateway.application import Application
from gateway.settings import Settings
from gateway.surfaces.connection import BoundedConnection

KEEP_ALIVE_S = 4100
"""Longer than any load balancer keeps a connection (4000 s), or its next request may meet a closed one.
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-load-balancer-attributes.html"""

SHUTDOWN_S = 1
"""How long the server may take to close its connections once nothing is under way."""

LAST_BODIES_S = 5.0
"""How long after the signal a request that is not whole yet is waited for; slow ones would use it up."""

LOOK_EVERY_S = 0.02

logger = logging.getLogger(__name__)


class QuietServer(uvicorn.Server):
    """uvicorn without its own signal handling, which would end the process by the signal, not by status 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `serve`."""
        yield


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then answer what is under way for up to the drain time.

    While draining the gateway still accepts requests, because load balancers take a moment to see that it
    is no longer ready. A second signal ends it at once.
    """
    application = Application(settings)
    server = make_server(application, settings)
    told = asyncio.Event()

    def stop() -> None:
        application.draining = True
        if told.is_set():
            server.should_exit = server.force_exit = True
        told.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    application.start()
    gc.freeze()  # what lives as long as the process need not be looked at by every collection
    serving = asyncio.ensure_future(server.serve())
    stopping = asyncio.ensure_future(told.wait())
    await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
    if not serving.done():
        await drain(application, server, settings.drain_time_s)
    stopping.cancel()
    await serving
    await application.stop()


def make_server(application: Application, settings: Settings) -> QuietServer:
    """The server, not yet listening."""
    return QuietServer(
        uvicorn.Config(
            application.http,
            host=settings.listen_address,
            port=settings.port,
            loop="none",
            http=BoundedConnection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=SHUTDOWN_S,
        )
    )


async def drain(application: Application, server: QuietServer, drain_time_s: float) -> None:
    """Wait until nothing is under way, at most `drain_time_s` seconds, then make the server stop."""
    logger.info("draining", extra={"in_flight": application.http.in_flight, "drain_time_s": drain_time_s})
    loop = asyncio.get_running_loop()
    start_s = loop.time()
    while (  # noqa: ASYNC110 - counts, not events
        _under_way(application, loop.time() - start_s)
        and loop.time() < start_s + drain_time_s
        and not server.should_exit
    ):
        await asyncio.sleep(LOOK_EVERY_S)
    if application.http.in_flight:
        logger.warning("requests cut off", extra={"in_flight": application.http.in_flight})
    server.should_exit = True


def _under_way(application: Application, drained_s: float) -> int:
    """How many requests are worth waiting for."""
    http = application.http
    return http.in_flight if drained_s < LAST_BODIES_S else http.in_flight - http.receiving
