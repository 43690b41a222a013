"""What must hold for flags at every write to a store, whoever makes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gateway.control.flag_declaration import FlagValueError, Kind
from gateway.control.flag_declarations import DECLARED, ROLLOUT_STAGE, SHADOW_DECISIONS
from tests.control_plane.cloud import FLAG_TABLE, FLAG_UPDATE, FLAGS, KILL_SWITCH, Cloud
from tests.control_plane.memory_dynamodb import Stored, plain
from tests.control_plane.memory_parameters import ParameterVersion

STAGES = ("off", "shadow", "canary", "active")
EVIDENCE = "evidence#"


def canonical(flag: str, text: str | None) -> str | None:
    """The value that `text` says, as a text; None where it says none."""
    if text is None or flag not in DECLARED:
        return None
    try:
        return DECLARED[flag].text_of(DECLARED[flag].parse(text))
    except FlagValueError:
        return None


@dataclass(frozen=True)
class Intent:
    """Somebody turned a switch on or off between two moments; `sure` where it was confirmed."""

    on: bool
    start_ms: int
    end_ms: int
    sure: bool


@dataclass
class Owed:
    """A value that came into force in the table; a record of it must follow `after` records."""

    flag: str
    value: str
    after: int


@dataclass
class FlagLedger:
    """Watches the stores. `intents` are added by whoever acts."""

    cloud: Cloud
    intents: dict[str, list[Intent]] = field(default_factory=dict)
    owed: list[Owed] = field(default_factory=list)
    put: dict[str, list[ParameterVersion]] = field(default_factory=dict)
    database_before: dict[str, tuple[str, int]] = field(default_factory=dict)

    def watch(self) -> None:
        self.cloud.dynamodb.watches.append(self.cloud.seen(self._row_written))
        self.cloud.parameters.watches.append(self.cloud.seen(self._parameter_changed))

    def meant(self, flag: str, intent: Intent) -> None:
        self.intents.setdefault(flag, []).append(intent)

    def check_database(self) -> None:
        """The third tier only ever goes forward."""
        rows = self.cloud.database.rows()
        for flag, (_value, moment_ms) in self.database_before.items():
            assert flag in rows, f"the database lost {flag}"
            value, now_ms = rows[flag]
            assert now_ms > moment_ms or (value, now_ms) == self.database_before[flag], (
                f"the database went back in time with {flag}: {moment_ms} to {now_ms}"
            )
        self.database_before = rows

    def settle_owed(self) -> None:
        """Forget what is recorded by now, or no longer in force."""
        rows = {each["flag"]: each.get("value") for each in self.cloud.dynamodb.plain(FLAG_TABLE)}
        in_force = [each for each in self.owed if rows[each.flag] == each.value]
        self.owed = [each for each in in_force if not self._is_recorded(each)]

    def switch_expected(self, flag: str) -> bool | None:
        """What a switch must be when everything is settled; None where more than one answer is right."""
        intents = self.intents.get(flag, [])
        for wanted in (True, False):
            sure = [each.start_ms for each in intents if each.on is wanted and each.sure]
            against = [each.end_ms for each in intents if each.on is not wanted]
            if sure and max(sure) > max(against, default=0):
                return wanted
        return None

    def _is_recorded(self, owed: Owed) -> bool:
        records = self.cloud.records(f"flag#{owed.flag}")
        return any(each["to"] == owed.value for each in records[owed.after :])

    def _row_written(self, table: str, before: Stored | None, after: Stored, caller: str) -> None:
        if table != FLAG_TABLE or after["flag"]["S"].startswith(EVIDENCE):
            return
        old, new = (plain(before) if before else {}), plain(after)
        flag = new["flag"]
        assert canonical(flag, new["value"]) == new["value"], f"the table holds {new['value']!r} for {flag}"
        if old:
            assert new["changed_at_ms"] > old["changed_at_ms"], f"the table went back in time with {flag}"
        self._check_step(old, new)
        if old.get("value") != new["value"]:
            self._demand_record(flag, new["value"], caller)

    def _demand_record(self, flag: str, value: str, caller: str) -> None:
        records = self.cloud.records(f"flag#{flag}")
        if caller == FLAG_UPDATE:
            newest = records[-1] if records else {}
            assert (newest.get("action"), newest.get("to")) == ("in-force", value), (
                f"{flag} became {value} in the table, and its newest record is {newest}"
            )
        elif caller == KILL_SWITCH and value not in {each["to"] for each in records[-8:]}:
            self.owed.append(Owed(flag, value, len(records)))

    def _check_step(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        """The table's step of the rollout was put step by step, each with its evidence."""
        if new["flag"] != ROLLOUT_STAGE:
            return
        value, since_ms = old.get("value", "off"), int(old.get("changed_at_ms", 0))
        reached = {(value, since_ms)}
        for version in self.put.get(ROLLOUT_STAGE, []):
            text = canonical(ROLLOUT_STAGE, version.text)
            if text is None or not since_ms < version.changed_at_ms <= int(new["changed_at_ms"]):
                continue
            for held, held_since_ms in tuple(reached):
                if self._is_allowed(held, text, held_since_ms, version.changed_at_ms):
                    reached.add((text, since_ms if text == value else version.changed_at_ms))
        assert new["value"] in {held for held, _ in reached}, (
            f"{ROLLOUT_STAGE} went from {value} to {new['value']} in the table"
        )

    def _is_allowed(self, held: str, to: str, since_ms: int, at_ms: int) -> bool:
        step = STAGES.index(to) - STAGES.index(held)
        if to != "canary" or step < 1:
            return step <= 1
        return step == 1 and self._decisions(since_ms, at_ms) >= self._least_needed()

    def _decisions(self, since_ms: int, until_ms: int) -> int:
        found = 0
        for item in self.cloud.dynamodb.plain(FLAG_TABLE):
            if item["flag"].startswith(EVIDENCE):
                moment_ms = int(item["flag"].rpartition("#")[2])
                found += int(item["decisions"]) if since_ms <= moment_ms < until_ms else 0
        return found

    def _least_needed(self) -> int:
        """The least that any value asked for which may have been in force at that look."""
        row = next(
            (each for each in self.cloud.dynamodb.plain(FLAG_TABLE) if each["flag"] == SHADOW_DECISIONS), None
        )
        values = [row["value"] if row else DECLARED[SHADOW_DECISIONS].default]
        moment_ms = int(row["changed_at_ms"]) if row else 0
        for version in self.put.get(SHADOW_DECISIONS, []):
            text = canonical(SHADOW_DECISIONS, version.text)
            if text is not None and version.changed_at_ms > moment_ms:
                values.append(text)
        return min(map(int, values))

    def _parameter_changed(
        self, name: str, before: ParameterVersion | None, after: ParameterVersion | None, caller: str
    ) -> None:
        del before
        flag = name.removeprefix(f"{FLAGS}/")
        if not name.startswith(f"{FLAGS}/") or flag not in DECLARED or after is None:
            return
        self.put.setdefault(flag, []).append(after)
        if caller == FLAG_UPDATE:
            assert canonical(flag, after.text) is not None, f"the function put {after.text!r} into {flag}"
            assert not (is_switch(flag) and after.text == "off"), f"the function put off into {flag}"


def is_switch(flag: str) -> bool:
    return flag in DECLARED and DECLARED[flag].kind is Kind.SWITCH
