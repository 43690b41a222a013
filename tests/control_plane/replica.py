"""One replica of the gateway as far as it is controlled: its flags, its registry, its route set."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.control.flag_control import FlagControl
from gateway.control.flag_database import _SELECT, _records
from gateway.control.flag_declaration import FlagValueError, Kind
from gateway.control.flag_declarations import DECLARATIONS, DECLARED
from gateway.control.flag_evidence import EvidenceWriter
from gateway.control.flag_tiers import FlagRecord, ParameterTier, TableTier
from gateway.control.registry_table import RegistryTable
from gateway.control.route_sets import RouteSetParameter
from gateway.control.snapshot import Snapshot
from tests.control_plane.cloud import DATABASE, FLAG_TABLE, FLAGS, REGISTRY_TABLE, ROUTE_SET, Cloud
from tests.gateway.test_flag_declarations import assert_allowed

TIERS = ("parameter", "table", "database")
SWITCHES = tuple(each.name for each in DECLARATIONS if each.kind is Kind.SWITCH)


class _DatabaseTier:
    """The third tier by the reader's statement and its reading of rows, without a connection."""

    name = "database"

    def __init__(self, cloud: Cloud, caller: str) -> None:
        self._cloud = cloud
        self._caller = caller

    def read(self) -> Mapping[str, FlagRecord]:
        self._cloud.gate.refuse_if_lost(self._caller, DATABASE)
        return self._cloud.gate.around(lambda: _records(self._cloud.database.query(_SELECT)))


class Replica:
    """`newest` is what it must know of each switch: the newest change that it has read since it started."""

    def __init__(self, cloud: Cloud, name: str, *, ahead_s: float) -> None:
        self.name = name
        self.ahead_s = ahead_s
        self.newest: dict[str, tuple[int, bool]] = {}
        self._cloud = cloud
        parameters, tables = cloud.parameters_for(name), cloud.tables_for(name)
        tiers = (
            ParameterTier(parameters, FLAGS),
            TableTier(tables, FLAG_TABLE),
            _DatabaseTier(cloud, name),
        )
        self._tiers = {tier.name: tier for tier in tiers}

        def wall_clock() -> float:
            return cloud.clock.now_s() + ahead_s

        self.flags = FlagControl(tiers, clock=cloud.clock.now_s, wall_clock=wall_clock)
        self.evidence = EvidenceWriter(self.flags.evidence, tables, FLAG_TABLE, wall_clock=wall_clock)
        self.registry = Snapshot(
            "registry", RegistryTable(tables, REGISTRY_TABLE).load, interval_s=3600, clock=cloud.clock.now_s
        )
        self.route_set = Snapshot(
            "route_set",
            RouteSetParameter(parameters, ROUTE_SET, lambda: self.registry.value).load,
            interval_s=3600,
            clock=cloud.clock.now_s,
        )

    def read(self, tier: str) -> None:
        """Read one tier, learn what it says, and check that the replica goes by it."""
        before = {name: self.flags.value.get(name) for name in SWITCHES}
        if self.flags.refresh_now(tier):
            self._learn(tier)
        else:
            for name in SWITCHES:
                assert self.flags.value.get(name) == before[name], f"{self.name}: a loss changed {name}"
        self.check()

    def check(self) -> None:
        for declaration in DECLARATIONS:
            assert_allowed(declaration, self.flags.value.get(declaration.name))
        for name, (moment_ms, on) in self.newest.items():
            assert self.flags.value.get(name) is on, (
                f"{self.name}: {name} is not {on}, as the change of {moment_ms} says"
            )

    def _learn(self, tier: str) -> None:
        for name, (text, moment_ms) in self._content(tier).items():
            if name not in SWITCHES:
                continue
            try:
                on = DECLARED[name].parse(text) is True
            except FlagValueError:
                continue
            change = (moment_ms, on)
            self.newest[name] = max(self.newest.get(name, change), change)

    def _content(self, tier: str) -> Mapping[str, tuple[str, int]]:
        """What the store really holds, read past the code under test."""
        if tier == "database":
            return self._cloud.database.rows()
        if tier == "table":
            rows = self._cloud.dynamodb.plain(FLAG_TABLE)
            return {row["flag"]: (row["value"], int(row["changed_at_ms"])) for row in rows if "value" in row}
        return {
            name.removeprefix(f"{FLAGS}/"): (versions[-1].text, versions[-1].changed_at_ms)
            for name, versions in self._cloud.parameters.versions.items()
            if name.startswith(f"{FLAGS}/")
        }
