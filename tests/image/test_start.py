"""The built image starts as its user on a read-only file system, serves, and ends when told."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import aiohttp

from image_build.archive import ImageArchive
from tests.gateway.running import HELLO
from tests.gateway.upstreams import Upstreams
from tests.image import chroot
from tests.image.container import running_container


async def test_it_becomes_ready_is_healthy_answers_and_ends_when_told(
    image: ImageArchive, root: Path, upstreams: Upstreams
) -> None:
    async with running_container(image, root, upstreams) as gateway:
        await gateway.answers("/health/ready", 200)
        kind, *words = image.health_check
        assert kind == "CMD"
        health = await asyncio.to_thread(chroot.run, image, root, *words, variables=gateway.environment)
        assert health.returncode == 0, health.stderr
        async with (
            aiohttp.ClientSession(headers=gateway.headers) as session,
            session.post(f"{gateway.url}/v1/route", json=HELLO) as response,
        ):
            assert response.status == 200
        gateway.process.send_signal(signal.SIGTERM)
        _, errors = await asyncio.wait_for(gateway.process.communicate(), 20)
    assert gateway.process.returncode == 0
    assert errors == b""


def test_the_health_check_fails_where_nothing_listens(image: ImageArchive, root: Path) -> None:
    told = chroot.run(image, root, *image.health_check[1:], variables={"PORT": "9"})
    assert told.returncode == 1, told.stdout + told.stderr


def test_the_process_is_nobody_and_can_write_nowhere(image: ImageArchive, root: Path) -> None:
    attempt = """
import os
print(os.getuid(), os.getgid(), os.getgroups())
for folder, _, _ in os.walk("/"):
    if not folder.startswith("/proc"):
        try:
            open(os.path.join(folder, "attempt"), "w")
        except OSError as error:
            assert error.errno == 30, error
        else:
            print("written", folder)
"""
    told = chroot.run(image, root, "python", "-c", attempt)
    assert told.returncode == 0, told.stderr
    assert told.stdout.splitlines() == ["65532 65532 []"]


def test_it_trusts_the_public_certificate_authorities(image: ImageArchive, root: Path) -> None:
    count = "import ssl; print(len(ssl.create_default_context().get_ca_certs()))"
    told = chroot.run(image, root, "python", "-c", count)
    assert int(told.stdout) > 100, told.stderr
