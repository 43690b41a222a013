"""AWS's part of the firewall: strict order, what an action reaches, and the policy's default actions.

https://docs.aws.amazon.com/network-firewall/latest/developerguide/suricata-rule-evaluation-order.html:
rules are evaluated in the order in which they stand, the first that passes or drops decides, and the default
actions stand behind them all. AWS does not publish the default actions as rules. They are modelled as ones
that match every packet of an established connection, in both directions, which is their strictest reading.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.egress.conversation import Flow, Verdict
from tests.egress.engine import Engine, EngineRule

DEFAULT_ACTIONS: Mapping[str, str] = {
    "aws:alert_established": "alert ip any any -> any any "
    '(msg:"aws:alert_established"; flow:established; sid:1; rev:1;)\n',
    "aws:drop_established": "drop ip any any -> any any "
    '(msg:"aws:drop_established"; flow:established; sid:2; rev:1;)\n',
}


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What a synthesised template says of the firewall."""

    rules: str
    home_networks: Sequence[str]
    default_actions: Sequence[str]

    @property
    def text(self) -> str:
        """The rules, and behind them the default actions; alerts come before drops end the evaluation."""
        return self.rules + "".join(DEFAULT_ACTIONS[action] for action in sorted(self.default_actions))


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What became of a flow: the verdict, the rule that gave it, and what the client got through before."""

    flow: Flow
    verdict: Verdict
    reason: str
    leak_bytes: int
    alerts: tuple[str, ...]


def fates(engine: Engine, policy: Policy, flows: Sequence[Flow]) -> list[Fate]:
    """What the firewall does with each flow."""
    rules = engine.load(policy.text)
    matched = engine.matches(rules, flows)
    return [_fate(flow, [matched[one] for one in numbers], rules) for flow, numbers in _numbered(flows)]


def dropped_packets(engine: Engine, text: str, flows: Sequence[Flow]) -> set[int]:
    """The packets, counted from 1, that strict order drops."""
    rules = engine.load(text)
    matched = engine.matches(rules, flows)
    return {
        number
        for flow, numbers in _numbered(flows)
        for number, rule in zip(numbers, _decisions([matched[one] for one in numbers], rules), strict=True)
        if _drops(rule)
    }


def _numbered(flows: Sequence[Flow]) -> Iterator[tuple[Flow, range]]:
    """Each flow and its packets' numbers in the capture of them all."""
    first = 1
    for flow in flows:
        yield flow, range(first, first + len(flow.segments))
        first += len(flow.segments)


def _fate(flow: Flow, packets: Sequence[Sequence[int]], rules: Sequence[EngineRule]) -> Fate:
    """A flow passes if the client's last packet does; a dropped one may have leaked what came before."""
    decisions = _decisions(packets, rules)
    drops = [rule for rule in decisions if rule is not None and _drops(rule)]
    alerts = {number for packet in packets for number in packet}
    leak = sum(
        segment.content
        for segment, rule in zip(flow.segments, decisions, strict=True)
        if segment.from_client and not _drops(rule)
    )
    last = [rule for segment, rule in zip(flow.segments, decisions, strict=True) if segment.from_client][-1]
    dropped = _drops(last)
    deciding = drops[0] if dropped else last
    return Fate(
        flow=flow,
        verdict=Verdict.DROP if dropped else Verdict.PASS,
        reason=deciding.reason if deciding else "no rule",
        leak_bytes=leak if dropped else 0,
        alerts=tuple(rule.reason for rule in rules if rule.action == "alert" and rule.signature_id in alerts),
    )


def _decisions(packets: Sequence[Sequence[int]], rules: Sequence[EngineRule]) -> list[EngineRule | None]:
    """The rule that decides each packet; none where no rule does, and the packet passes."""
    for_the_flow: EngineRule | None = None
    decisions: list[EngineRule | None] = []
    for matched in packets:
        deciding = for_the_flow or _first_that_decides(matched, rules)
        if deciding is not None and deciding.whole_flow:
            for_the_flow = deciding
        decisions.append(deciding)
    return decisions


def _first_that_decides(matched: Sequence[int], rules: Sequence[EngineRule]) -> EngineRule | None:
    return next((rule for rule in rules if rule.action != "alert" and rule.signature_id in matched), None)


def _drops(rule: EngineRule | None) -> bool:
    return rule is not None and rule.action == "drop"
