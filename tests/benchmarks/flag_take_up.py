"""How long until a kill is in force in three replicas, with each tier lost. `make flag-take-up`.

Real processes hold the tiers; intervals and timeouts are those that are deployed. A kill is written as the
gateway writes it: to the parameter and the table, of which the lost one does not take it.
"""

from __future__ import annotations

import logging
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from gateway.control.aws import FLAG_CONFIG
from gateway.control.flag_control import FlagControl
from lambdas.flag_database import handler
from tests.database.database import Database, master_secret
from tests.gateway.real_tiers import Tiers, started, wait_until

REPLICAS = 3
KILL = "kill-switch.google"
WRITTEN = ("parameter", "table")
AT_MOST_S = 5.0
SETTINGS: tuple[tuple[tuple[str, ...], str], ...] = (
    ((), ""),
    (("parameter",), "stopped"),
    (("parameter",), "black hole"),
    (("table",), "stopped"),
    (("table",), "black hole"),
    (("database",), "stopped"),
    (("database",), "black hole"),
    (("parameter", "database"), "black hole"),
    (("table", "database"), "black hole"),
)


def main(kills: int) -> int:
    """Print a table; 1 where a kill took longer than five seconds."""
    logging.disable()
    random.seed(1)
    database = Database.start()
    try:
        handler.deploy(database.declaration(), master_secret, roots=database.server.roots)
        with tempfile.TemporaryDirectory() as directory:
            return _measure(Tiers(Path(directory), database), kills)
    finally:
        database.server.remove()


def _measure(tiers: Tiers, kills: int) -> int:
    replicas = [tiers.replica(FLAG_CONFIG) for _ in range(REPLICAS)]
    worst_s = 0.0
    try:
        with started(*replicas):
            _wait(replicas, lambda each: each.known)
            for lost, way in SETTINGS:
                label = f"{' and '.join(lost) or 'nothing'} lost{', ' if way else ''}{way}"
                for name in lost:
                    tiers.by_name[name].lose(way)
                time.sleep(8.0 if lost else 0.0)  # until circuits are open
                took_s = _kills(tiers, replicas, [each for each in WRITTEN if each not in lost], kills)
                worst_s = max(worst_s, _report(label, took_s))
                for name in lost:
                    tiers.by_name[name].restore()
                _wait(replicas, lambda each: all(reader.circuit.answering for reader in each.readers))
            worst_s = max(
                worst_s, _report("both come back from a black hole, killed", _returns(tiers, replicas))
            )
    finally:
        tiers.end()
    return 0 if worst_s <= AT_MOST_S else 1


def _kills(tiers: Tiers, replicas: Sequence[FlagControl], written: Sequence[str], kills: int) -> list[float]:
    took_s: list[float] = []
    for _ in range(kills):
        took_s += _change(tiers, replicas, written, on=True)
        _change(tiers, replicas, written, on=False)
        time.sleep(random.uniform(0.0, 2.0))  # noqa: S311 - when operators kill
    return took_s


def _returns(tiers: Tiers, replicas: Sequence[FlagControl]) -> list[float]:
    """From the moment at which both tiers are back, which is also that of the kill."""
    took_s: list[float] = []
    for _ in range(6):
        for name in WRITTEN:
            tiers.by_name[name].lose("black hole")
        time.sleep(random.uniform(8.0, 12.0))  # noqa: S311
        for name in WRITTEN:
            tiers.by_name[name].restore()
        took_s += _change(tiers, replicas, WRITTEN, on=True)
        _change(tiers, replicas, WRITTEN, on=False)
    return took_s


def _change(
    tiers: Tiers, replicas: Sequence[FlagControl], written: Sequence[str], *, on: bool
) -> list[float]:
    """Seconds until each replica obeys."""
    moment_ms = round(time.time() * 1000)
    started_s = time.monotonic()
    for name in written:
        tiers.by_name[name].put(KILL, "on" if on else "off", moment_ms)
    waiting, took_s = list(replicas), []
    while waiting:
        obeying = [each for each in waiting if each.value.get(KILL) is on]
        took_s += [time.monotonic() - started_s] * len(obeying)
        waiting = [each for each in waiting if each not in obeying]
        assert time.monotonic() - started_s < 30, "a kill is not obeyed"
        time.sleep(0.002)
    return took_s


def _wait(replicas: Sequence[FlagControl], condition: Callable[[FlagControl], bool]) -> None:
    wait_until(lambda: all(condition(each) for each in replicas), 30.0)


def _report(label: str, took_s: Sequence[float]) -> float:
    worst_s = max(took_s)
    print(
        f"{label:46} n={len(took_s):4}  p50 {statistics.median(took_s):5.2f} s  max {worst_s:5.2f} s",
        flush=True,
    )
    return worst_s


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20))
