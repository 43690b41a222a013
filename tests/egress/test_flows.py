"""What the synthesised firewall lets through, judged by real Suricata on crafted traffic."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stacks.constructs.egress_rules import HELLO_BUDGET_BYTES
from tests.egress.conversation import Flow, Verdict, tcp
from tests.egress.engine import Engine, EngineRule, why_missing
from tests.egress.flows import DEFAULT, all_flows
from tests.egress.strict_order import DEFAULT_ACTIONS, Fate, Policy, dropped_packets, fates
from tests.egress.synthesised import network_resources, policy_of, production_with_a_suffix
from tests.stacks.synthesis import load_environment

FEWEST_FLOWS = 40


pytestmark = pytest.mark.skipif(why_missing() is not None, reason=why_missing() or "")


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bool], Policy]:
    def synthesised(alert_only: bool) -> Policy:
        environment = production_with_a_suffix(alert_only=alert_only)
        return policy_of(network_resources(environment, tmp_path_factory.mktemp("template")))

    return synthesised


@pytest.fixture(scope="module")
def enforcing(policy: Callable[[bool], Policy]) -> Policy:
    return policy(False)


@pytest.fixture
def engine(tmp_path: Path, enforcing: Policy) -> Engine:
    return Engine(tmp_path, enforcing.home_networks)


@pytest.fixture(scope="module")
def judged(enforcing: Policy, tmp_path_factory: pytest.TempPathFactory) -> list[Fate]:
    engine = Engine(tmp_path_factory.mktemp("engine"), enforcing.home_networks)
    return fates(engine, enforcing, all_flows())


def test_every_flow_meets_its_fate(judged: list[Fate]) -> None:
    wrong = [
        f"{fate.flow.name}: {fate.verdict} by '{fate.reason}' after {fate.leak_bytes} bytes; "
        f"it must {fate.flow.verdict} by '{fate.flow.reason}' after {fate.flow.leak_bytes}"
        for fate in judged
        if (fate.verdict, fate.reason, fate.leak_bytes)
        != (fate.flow.verdict, fate.flow.reason, fate.flow.leak_bytes)
    ]

    assert not wrong, "\n".join(wrong)
    assert len(judged) >= FEWEST_FLOWS
    assert {fate.verdict for fate in judged} == set(Verdict)


def test_no_denied_flow_gets_more_through_than_a_hello(judged: list[Fate]) -> None:
    leaking = [
        f"{fate.flow.name}: {fate.leak_bytes} bytes"
        for fate in judged
        if fate.leak_bytes > HELLO_BUDGET_BYTES
    ]

    assert not leaking, "\n".join(leaking)


def test_every_rule_decides_some_flow(judged: list[Fate], engine: Engine, enforcing: Policy) -> None:
    """Except those that only carry a hello to its end."""
    deciding = {fate.reason for fate in judged}
    idle = [rule.reason for rule in engine.load(enforcing.text) if rule.reason not in deciding]

    assert idle == ["TLS hello that is not complete yet", "Packet without content", "aws:alert_established"]


def test_what_opens_one_packet_does_not_open_its_connection(engine: Engine, enforcing: Policy) -> None:
    """By Suricata's own decisions: it evaluates `pass` first, which here is strict order as well."""
    opening = [rule for rule in engine.load(enforcing.rules) if rule.action == "pass" and not rule.whole_flow]
    text = "".join(f"{rule.text}\n" for rule in opening) + DEFAULT_ACTIONS[DEFAULT]
    endless = b"\x16\x03\x01\x3f\xff\x01\x00\x3f\xfb" + bytes(991)
    flow = Flow(
        name="endless", segments=tcp(endless, *[bytes(1000)] * 8), verdict=Verdict.DROP, reason=DEFAULT
    )

    dropped = engine.dropped(text, [flow])

    # After the handshake's three packets, four of a thousand bytes fit into what a hello may have.
    assert len(opening) == 2
    assert {4, 5, 6, 7}.isdisjoint(dropped)
    assert {8, 9, 10, 11, 12} <= dropped


def test_suricatas_own_decisions_are_those_of_strict_order(engine: Engine, enforcing: Policy) -> None:
    """On the rules whose order does not matter: all but those that open single packets."""
    rules = [rule for rule in engine.load(enforcing.text) if not _opens_a_packet(rule)]
    text = "".join(f"{rule.text}\n" for rule in rules)
    flows = all_flows()

    dropped = engine.dropped(text, flows)

    assert dropped
    assert dropped ^ dropped_packets(engine, text, flows) == set()


def _opens_a_packet(rule: EngineRule) -> bool:
    return rule.action == "pass" and not rule.whole_flow


def test_alert_only_lets_everything_through_and_says_what_it_would_have_dropped(
    policy: Callable[[bool], Policy], judged: list[Fate], engine: Engine
) -> None:
    observed = fates(engine, policy(True), all_flows())
    silent = [
        after.flow.name
        for before, after in zip(judged, observed, strict=True)
        if before.verdict is Verdict.DROP
        and (before.reason if before.reason != DEFAULT else "aws:alert_established") not in after.alerts
    ]

    stopped = [fate.flow.name for fate in observed if fate.verdict is not Verdict.PASS]
    assert not stopped, "\n".join(stopped)
    assert not silent, "\n".join(silent)


@pytest.mark.parametrize("name", ["local", "staging", "production"])
def test_suricata_takes_the_rules_of_every_environment(name: str, tmp_path: Path) -> None:
    policy = policy_of(network_resources(load_environment(name), tmp_path / "template"))
    (tmp_path / "engine").mkdir()

    rules = Engine(tmp_path / "engine", policy.home_networks).load(policy.text)

    allowed = {rule.reason for rule in rules if rule.action == "pass" and rule.whole_flow}
    assert allowed == {f"TLS to {host}" for host in load_environment(name).egress_hosts}
