"""One embedded cloud for all tests that want one, deployed when the first of them asks.

A folder's conftest makes the fixture known to its tests:

    from tests.local.embedded_cloud import embedded_cloud
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from local.aws import Account, known_account
from local.cloud import Connection, EmbeddedCloud
from local.ports import Ports, is_free
from local.state import StateDirectory


@dataclass(frozen=True)
class RunningCloud:
    """A deployed embedded cloud with everything simulated."""

    cloud: EmbeddedCloud
    connection: Connection
    account: Account

    @property
    def state(self) -> StateDirectory:
        return self.cloud.state

    @property
    def ports(self) -> Ports:
        return self.cloud.ports


def isolated_environment() -> dict[str, str]:
    """What a process needs, and nothing that could make a provider real."""
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
    return kept | {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}


@cache
def _started() -> RunningCloud:
    folder = Path(tempfile.mkdtemp(prefix="embedded-cloud-"))
    cloud = EmbeddedCloud(StateDirectory(folder), Ports.free(), isolated_environment())
    try:
        connection = cloud.up()
    except BaseException:
        cloud.down()
        raise
    account = known_account(cloud.state)
    assert account is not None
    return RunningCloud(cloud, connection, account)


@pytest.fixture(scope="session")
def embedded_cloud() -> Iterator[RunningCloud]:
    """The embedded cloud of this test run; taken down when the last test has ended."""
    running = _started()
    yield running
    running.cloud.down()
    held = [name for name, port in running.ports.by_name().items() if not is_free(port)]
    left = [name for name in running.state.processes.names() if running.state.processes.running(name)]
    assert (held, left, running.state.processes.unrecorded()) == ([], [], [])
