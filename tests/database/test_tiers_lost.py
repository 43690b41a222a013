"""Real tiers, really lost: one by one, two by two, all three; stopped, and as black holes.

With short intervals and timeouts. `make flag-take-up` measures with those that are deployed.
"""

from __future__ import annotations

import gc
import itertools
import time
from collections.abc import Iterator

import pytest
from botocore.config import Config

from gateway.control.flag_control import FlagControl
from gateway.control.flag_pace import Pace
from lambdas.flag_database import handler
from tests.database.database import QUICK, Database, master_secret
from tests.gateway.real_tiers import WAYS, Tiers, started, wait_until

NAMES = ("parameter", "table", "database")
QUICK_AWS = Config(connect_timeout=0.3, read_timeout=0.3, retries={"total_max_attempts": 1})
QUICK_PACES = dict.fromkeys(NAMES, Pace(interval_s=0.1, probe_interval_s=0.3))
AT_MOST_S = 10.0
KILL = "kill-switch.google"
SAID = {"rollout-stage": ("active", "shadow", "off"), "rollout.shadow-share": ("30", "20", "10")}
"""What the tiers say, each something else."""


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """What the driver leaves to the collector is collected with the test that lost it."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def tiers(server: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiers]:
    server.empty()
    handler.deploy(server.declaration(), master_secret, roots=server.server.roots)
    running = Tiers(tmp_path_factory.mktemp("flags"), server)
    try:
        for flag, texts in SAID.items():
            for name, text in zip(NAMES, texts, strict=True):
                running.by_name[name].put(flag, text, 1)
        yield running
    finally:
        running.end()


@pytest.fixture
def replica(tiers: Tiers) -> Iterator[FlagControl]:
    control = tiers.replica(QUICK_AWS, limits=QUICK, paces=QUICK_PACES)
    with started(control):
        wait_until(lambda: all(each.age_s is not None for each in control.readers), AT_MOST_S)
        yield control


def noticed(control: FlagControl, lost: tuple[str, ...]) -> None:
    """Wait until every lost tier was found lost."""
    here = [each for each in control.readers if each.tier.name in lost]
    wait_until(lambda: not any(each.circuit.answering for each in here), AT_MOST_S)


@pytest.mark.parametrize(
    "lost", [each for n in (1, 2, 3) for each in itertools.combinations(NAMES, n)], ids="+".join
)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # see test_reader.py
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_no_loss_changes_an_answer_and_whoever_is_left_can_kill(
    tiers: Tiers, replica: FlagControl, lost: tuple[str, ...], way: str
) -> None:
    before = replica.value.texts()
    assert (before["rollout-stage"], before["rollout.shadow-share"], before[KILL]) == ("active", "30", "off")
    for name in lost:
        tiers.by_name[name].lose(way)
    try:
        noticed(replica, lost)
        assert replica.value.texts() == before
        left = [name for name in NAMES if name not in lost]
        if left:
            tiers.by_name[left[0]].put(KILL, "on", _now_ms())
            wait_until(lambda: replica.value.get(KILL) is True, AT_MOST_S)
    finally:
        for name in lost:
            tiers.by_name[name].restore()
    wait_until(lambda: all(each.circuit.answering for each in replica.readers), AT_MOST_S)
    expected = before | {KILL: "on" if left else "off"}
    assert replica.value.texts() == expected
    tiers.parameter.put(KILL, "off", _now_ms())
    wait_until(lambda: replica.value.get(KILL) is False, AT_MOST_S)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # see test_reader.py
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_killed_provider_stays_killed_while_every_tier_is_lost(
    tiers: Tiers, replica: FlagControl, way: str
) -> None:
    tiers.table.put(KILL, "on", _now_ms())
    wait_until(lambda: replica.value.get(KILL) is True, AT_MOST_S)
    for tier in tiers.by_name.values():
        tier.lose(way)
    try:
        noticed(replica, NAMES)
        assert replica.value.get(KILL) is True
    finally:
        for tier in tiers.by_name.values():
            tier.restore()
    wait_until(lambda: all(each.circuit.answering for each in replica.readers), AT_MOST_S)
    assert replica.value.get(KILL) is True
    tiers.parameter.put(KILL, "off", _now_ms())
    wait_until(lambda: replica.value.get(KILL) is False, AT_MOST_S)


def _now_ms() -> int:
    return round(time.time() * 1000)
