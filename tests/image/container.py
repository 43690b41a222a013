"""The image's gateway as a running process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from image_build.archive import ImageArchive
from tests.gateway.aws_endpoint import running_aws_endpoint
from tests.gateway.process import GatewayProcess, process_environment
from tests.gateway.running import token_uri
from tests.gateway.upstreams import Upstreams
from tests.image import chroot

FROM_THE_IMAGE = {"PATH", "PYTHONPATH"}
"""Variables that the tests of the bare process need, and a container gets from its image."""


@contextlib.asynccontextmanager
async def running_container(
    image: ImageArchive, root: Path, upstreams: Upstreams
) -> AsyncIterator[GatewayProcess]:
    """The image's entry point with AWS on loopback; gone afterwards, whatever the test did."""
    async with running_aws_endpoint(token_uri(upstreams)) as aws:
        given = process_environment(aws.url, upstreams.url)
        variables = {name: value for name, value in given.items() if name not in FROM_THE_IMAGE}
        process = await asyncio.create_subprocess_exec(
            *chroot.command(image, root, image.entry_point, variables),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            yield GatewayProcess(process, variables)
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()
