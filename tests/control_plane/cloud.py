"""One simulated AWS for everything that controls the gateway: stores, clock, calls, and what was logged."""

from __future__ import annotations

import contextlib
import io
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from unittest import mock

from gateway.telemetry.logs import JsonFormatter
from tests.control_plane.gate import Client, Gate, Store
from tests.control_plane.inline_executor import InlineExecutor
from tests.control_plane.memory_database import MemoryDatabase, WritingConnection
from tests.control_plane.memory_dynamodb import MemoryDynamoDb
from tests.control_plane.memory_parameters import MemoryParameters
from tests.lambdas.rotation_world import Clock

FLAGS = "/ai-orchestration/test/flags"
ROUTE_SET = "/ai-orchestration/test/route-sets/active"
LIBRARY = "/ai-orchestration/test/route-sets/library"
REGISTRY_TABLE, FLAG_TABLE, AUDIT_TABLE = "ai_model_registry", "flags", "audit"
KEYS = {
    REGISTRY_TABLE: ("provider#model", "version"),
    FLAG_TABLE: ("flag",),
    AUDIT_TABLE: ("subject", "sequence"),
}
PARAMETERS, TABLES, DATABASE = "parameters", "tables", "database"
STORES = (PARAMETERS, TABLES, DATABASE)

ALARMS = {f"alarm-of-{each}": f"kill-switch.{each}" for each in ("all", "bedrock", "google", "llama")}
VARIABLES = {
    "ENVIRONMENT": "test",
    "FLAG_PARAMETERS": FLAGS,
    "FLAG_TABLE": FLAG_TABLE,
    "AUDIT_TABLE": AUDIT_TABLE,
    "FLAG_DATABASE_HOST": "flags.example.com",
    "FLAG_DATABASE_PORT": "5432",
    "FLAG_DATABASE_NAME": "flags",
    "FLAG_DATABASE_USER": "flag_writer",
    "SWITCH_OF_ALARM": json.dumps(ALARMS),
}
FLAG_UPDATE, KILL_SWITCH = "flag-update", "kill-switch"


class Cloud:
    """`said` holds everything that was printed or logged."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.gate = Gate()
        self.said = io.StringIO()
        self.dynamodb = MemoryDynamoDb(KEYS)
        self.parameters = MemoryParameters(self.now_ms)
        self.database = MemoryDatabase(self.now_ms)
        self.effects: Counter[str] = Counter()
        """What changed in the end: rows by table, parameters by path, keys that came into force."""
        self.broken: list[str] = []
        """What a watch saw that must not be. The code under test may catch what a watch raises."""
        self.dynamodb.watches.append(lambda table, *_write: self.effects.update([f"table {table}"]))
        self.parameters.watches.append(
            lambda name, *_change: self.effects.update([f"parameter {name.rpartition('/')[0]}"])
        )

    def seen(self, watch: Callable[..., None]) -> Callable[..., None]:
        """`watch`, which also writes down what it finds broken."""

        def watched(*write: object) -> None:
            try:
                watch(*write)
            except AssertionError as error:
                self.broken.append(str(error))
                raise

        return watched

    def now_ms(self) -> int:
        return round(self.clock.now_s() * 1000)

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clock.now_s(), UTC)

    def tables_for(self, caller: str) -> Store:
        return Client(self.dynamodb, TABLES, caller, self.gate)

    def parameters_for(self, caller: str) -> Store:
        return Client(self.parameters, PARAMETERS, caller, self.gate)

    def database_for(self, caller: str) -> WritingConnection:
        self.gate.refuse_if_lost(caller, DATABASE)
        return self.database.connection(self.gate.around)

    def _connect_as_function(self, _place: object, _password: str) -> WritingConnection:
        return self.database_for(FLAG_UPDATE)

    def records(self, subject: str) -> list[dict[str, Any]]:
        """The audit records of a subject, oldest first."""
        found = [each for each in self.dynamodb.plain(AUDIT_TABLE) if each["subject"] == subject]
        return sorted(found, key=lambda each: int(each["sequence"]))

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Functions find their clients, clock and variables here; what is logged is kept."""
        time = SimpleNamespace(time_ns=lambda: self.now_ms() * 1_000_000)
        handler = logging.StreamHandler(self.said)
        handler.setFormatter(JsonFormatter())
        logger = logging.getLogger("gateway")
        with contextlib.ExitStack() as stack:
            enter = stack.enter_context
            enter(mock.patch.dict("os.environ", VARIABLES))
            for function, caller in (("flag_update", FLAG_UPDATE), ("kill_switch", KILL_SWITCH)):
                module = f"lambdas.{function}.handler"
                clients = {
                    "dynamodb": self.tables_for(caller),
                    "ssm": self.parameters_for(caller),
                }
                enter(mock.patch(f"{module}.open_client", clients.__getitem__))
                enter(mock.patch(f"{module}.time", time))
            enter(mock.patch("lambdas.flag_update.database.signed_password", return_value="password"))
            enter(mock.patch("lambdas.flag_update.database.connect", self._connect_as_function))
            enter(mock.patch("gateway.control.flag_writer.ThreadPoolExecutor", InlineExecutor))
            enter(mock.patch.object(logger, "handlers", [handler]))
            enter(mock.patch.object(logger, "propagate", False))
            enter(contextlib.redirect_stdout(self.said))
            try:
                yield
            finally:
                self.database.close()
