"""The built image, read and unpacked once a run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from image_build.archive import ImageArchive, read
from tests.gateway.upstreams import Upstreams, running_upstreams
from tests.image import built


@pytest.fixture(scope="session")
def image() -> ImageArchive:
    reason = built.reason_not_to_test()
    if reason is not None and built.must_be_tested():
        pytest.fail(f"CI must test the image: {reason}", pytrace=False)
    if reason is not None:
        pytest.skip(reason)
    return read(built.ARCHIVE)


@pytest.fixture(scope="session")
def root(image: ImageArchive, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image's files with their owners and modes."""
    folder = tmp_path_factory.mktemp("image") / "root"
    image.unpack(folder)
    return folder


@pytest.fixture
async def upstreams() -> AsyncIterator[Upstreams]:
    async with running_upstreams() as upstreams:
        yield upstreams
