"""The rules of Network Firewall, generated from the hosts that may be reached.

Suricata 7 syntax, evaluated in strict order: the first `pass` or `drop` that matches decides. What no
rule decides, the policy's default actions drop. https://docs.suricata.io/en/suricata-7.0.10/rules/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from stacks.settings_hosts import is_host_pattern

HELLO_BUDGET_BYTES = 4096
"""What a client may send before its TLS hello is complete.

A hello with a post-quantum key share is about 1.7 KB and comes in two segments; the first one alone has no
name to judge. It may pass, or the second would never come.
"""

RULES_PER_STEP = 100
"""Capacity grows in steps, since AWS replaces a rule group whose capacity changes."""

FIRST_SIGNATURE_ID = 1_000_001


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule without its number; `reason` is what the alert log says."""

    action: str
    header: str
    options: str
    reason: str

    def text(self, signature_id: int) -> str:
        """The rule as Suricata reads it."""
        options = f"{self.options} " if self.options else ""
        return f'{self.action} {self.header} (msg:"{self.reason}"; {options}sid:{signature_id}; rev:1;)'


def rules_text(hosts: Iterable[str], *, alert_only: bool) -> str:
    """The rules, one a line, that let TLS to `hosts` through and drop everything else.

    `alert_only` turns each drop into a line of the alert log.

    Raises:
        ValueError: for a host that is neither a host name nor `.suffix`.
    """
    rules = list(_rules(sorted(set(hosts)), blocking="alert" if alert_only else "drop"))
    return "".join(f"{rule.text(FIRST_SIGNATURE_ID + number)}\n" for number, rule in enumerate(rules))


def rule_capacity(text: str) -> int:
    """Capacity for the rules in `text` and as many again, in whole steps.

    A stateful rule takes one unit:
    https://docs.aws.amazon.com/network-firewall/latest/developerguide/nwfw-rule-group-capacity.html
    """
    with_headroom = 2 * len(text.splitlines())
    return -(-with_headroom // RULES_PER_STEP) * RULES_PER_STEP


def _rules(hosts: list[str], *, blocking: str) -> Iterator[Rule]:
    yield from _other_than_tls_ports(blocking)
    yield from (_allowed_name(host) for host in hosts)
    yield from _tls_ports(blocking)


def _other_than_tls_ports(blocking: str) -> Iterator[Rule]:
    """What the first packet already tells. `to_server` keeps the answers to what was let through."""

    def block(header: str, options: str, reason: str) -> Rule:
        return Rule(action=blocking, header=header, options=options, reason=reason)

    yield block("ip ::/0 any -> any any", "", "IPv6")
    yield block("ip $EXTERNAL_NET any -> $HOME_NET any", "flow:to_server;", "Connection from outside")
    yield block("udp any any -> any 443", "flow:to_server;", "QUIC")
    yield block("udp any any -> any [53,853]", "flow:to_server;", "DNS past the VPC's resolver")
    yield block("tcp any any -> any [53,853]", "flow:to_server;", "DNS past the VPC's resolver")
    yield block("tcp any any -> any 80", "flow:to_server;", "Plain HTTP")
    yield block("tcp any any -> any ![53,80,443,853]", "flow:to_server;", "Port other than 443")
    yield block("ip any any -> any any", "ip_proto:!6;", "Protocol other than TCP")


def _allowed_name(host: str) -> Rule:
    if not is_host_pattern(host):
        raise ValueError(
            f"{host!r} cannot be allowed: it is no host name. "
            "Write models.example.com, or .example.com for that name and every name below it."
        )
    match = (
        f'dotprefix; content:"{host}"; endswith; nocase;'
        if host.startswith(".")
        else f'content:"{host}"; startswith; endswith; nocase;'
    )
    return Rule(
        action="pass",
        header="tls $HOME_NET any -> $EXTERNAL_NET 443",
        options=f"flow:established,to_server; tls.sni; {match}",
        reason=f"TLS to {host}",
    )


def _tls_ports(blocking: str) -> Iterator[Rule]:
    """What remains on 443: names that are not allowed, none at all, what is no TLS, and the undecided.

    The last two rules look at packets, not at what a connection carries, so that they open one packet and
    not its connection.
    """

    def block(protocol: str, options: str, reason: str) -> Rule:
        return Rule(
            action=blocking,
            header=f"{protocol} any any -> any 443",
            options=f"flow:established,to_server; {options}".rstrip(),
            reason=reason,
        )

    yield block("tls", "tls.sni; bsize:>0;", "TLS to a name that is not allowed")
    yield block("tls", "ssl_state:client_hello;", "TLS without a name")
    yield block("http", "", "Plain HTTP on 443")
    yield block("tcp", "app-layer-protocol:!tls;", "No TLS on 443")
    yield Rule(
        action="pass",
        header="tcp $HOME_NET any -> $EXTERNAL_NET 443",
        options=(
            "flow:established,to_server; app-layer-protocol:tls; "
            f"stream_size:client,<,{HELLO_BUDGET_BYTES}; noalert;"
        ),
        reason="TLS hello that is not complete yet",
    )
    yield Rule(
        action="pass",
        header="tcp $HOME_NET any <> $EXTERNAL_NET 443",
        options="flow:established; dsize:0; noalert;",
        reason="Packet without content",
    )
