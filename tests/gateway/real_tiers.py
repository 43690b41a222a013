"""The three tiers as processes of their own: stopped, turned into black holes and brought back."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import psutil
from botocore.config import Config

from gateway.control.database_connection import DatabaseLimits
from gateway.control.flag_control import FlagControl
from gateway.control.flag_database import FlagDatabase
from gateway.control.flag_pace import Pace
from gateway.control.flag_reader import PACES
from gateway.control.flag_tiers import ParameterTier, TableTier
from tests.database.database import Database
from tests.gateway.process import free_port
from tests.gateway.stores import FLAG_TABLE, FLAGS, aws_session

STORE = Path(__file__).with_name("flag_store_process.py")
WAYS = ("stopped", "black hole")


class RealTier(Protocol):
    """One tier, as somebody with power over its machine sees it."""

    name: str

    def put(self, flag: str, text: str, changed_at_ms: int) -> None:
        """Change a flag, whether the tier is lost or not."""
        ...

    def lose(self, way: str) -> None:
        """Stop it, or leave it on the network without an answer."""
        ...

    def restore(self) -> None:
        """Bring it back with what it held."""
        ...


class StoreProcess:
    """The flags of SSM or DynamoDB."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._file = directory / f"{name}.json"
        self._records: dict[str, tuple[str, int]] = {}
        self._halted = False
        self._write()
        self._start()

    def put(self, flag: str, text: str, changed_at_ms: int) -> None:
        self._records[flag] = (text, changed_at_ms)
        self._write()

    def lose(self, way: str) -> None:
        self._halted = way == "black hole"
        if self._halted:
            os.kill(self._process.pid, signal.SIGSTOP)
        else:
            self.end()

    def restore(self) -> None:
        if self._halted:
            os.kill(self._process.pid, signal.SIGCONT)
        else:
            self._start()

    def end(self) -> None:
        self._process.kill()
        self._process.wait()

    def _write(self) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(self._records))
        new.replace(self._file)

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(STORE), str(self.port), str(self._file)],
            stderr=subprocess.DEVNULL,  # it tells of readers who gave up waiting for it
        )
        wait_until(self._listens, 10.0)

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 0.2):
            return True
        return False


class DatabaseServer:
    """A PostgreSQL with the migrated table."""

    name = "database"

    def __init__(self, database: Database) -> None:
        self.database = database
        self._halted: list[psutil.Process] = []

    def put(self, flag: str, text: str, changed_at_ms: int) -> None:
        self.database.sql(
            f"INSERT INTO flags VALUES ('{flag}', '{text}', {changed_at_ms}, 'tests', '') "  # noqa: S608
            f"ON CONFLICT (flag) DO UPDATE SET value = '{text}', changed_at_ms = {changed_at_ms}"
        )

    def lose(self, way: str) -> None:
        if way == "stopped":
            self.database.server.stop(signal.SIGKILL)
            return
        main = psutil.Process(self.database.server.pid)
        self._halted = [main, *main.children()]
        for process in self._halted:
            process.suspend()

    def restore(self) -> None:
        if not self._halted:
            self.database.server.start()
        for process in self._halted:
            process.resume()
        self._halted = []


class Tiers:
    """All three, and replicas that read them."""

    def __init__(self, directory: Path, database: Database) -> None:
        self.parameter = StoreProcess("parameter", directory)
        self.table = StoreProcess("table", directory)
        self.server = DatabaseServer(database)
        self.by_name: Mapping[str, RealTier] = {
            each.name: each for each in (self.parameter, self.table, self.server)
        }

    def replica(
        self,
        config: Config,
        *,
        limits: DatabaseLimits | None = None,
        paces: Mapping[str, Pace] = PACES,
    ) -> FlagControl:
        """A replica's flags, with clients of its own; they are not read yet."""
        session = aws_session()
        ssm = session.client("ssm", endpoint_url=self.parameter.url, config=config)
        dynamodb = session.client("dynamodb", endpoint_url=self.table.url, config=config)
        database = self.server.database.reader(limits or DatabaseLimits())
        tiers = (ParameterTier(ssm, FLAGS), TableTier(dynamodb, FLAG_TABLE), database)
        return FlagControl(tiers, paces=paces)

    def end(self) -> None:
        self.parameter.end()
        self.table.end()


@contextlib.contextmanager
def started(*replicas: FlagControl) -> Iterator[None]:
    """The replicas read their tiers in their threads, and let go of them afterwards."""
    readers = [reader for replica in replicas for reader in replica.readers]
    before = set(threading.enumerate())
    for reader in readers:
        reader.start()
    threads = set(threading.enumerate()) - before
    try:
        yield
    finally:
        for reader in readers:
            reader.stop()
        for thread in threads:
            thread.join()
        for reader in readers:
            if isinstance(reader.tier, FlagDatabase):
                reader.tier.close()


def wait_until(condition: Callable[[], bool], timeout_s: float) -> float:
    """Seconds until `condition` held."""
    started_s = time.monotonic()
    while not condition():
        waited_s = time.monotonic() - started_s
        assert waited_s < timeout_s, f"not within {timeout_s} s"
        time.sleep(0.005)
    return time.monotonic() - started_s
