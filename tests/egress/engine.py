"""Real Suricata: which of a rule's packets it matches, and which it drops.

Suricata itself always evaluates `pass` before `drop`; AWS's strict order is what `strict_order` adds to its
matches. To get them all, every rule is loaded as an alert.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scapy.utils import PcapWriter

from tests.egress.conversation import Flow

EXECUTABLE = "suricata"
VERSION = "7."
TIMEOUT_S = 60

CONFIGURATION = """\
%YAML 1.1
---
vars:
  address-groups:
    HOME_NET: "[127.0.0.1]"
    EXTERNAL_NET: "!$HOME_NET"
outputs:
  - eve-log:
      enabled: yes
      filetype: regular
      filename: eve.json
      types:
        - alert
        - drop: {alerts: yes, flows: all}
packet-alert-max: 255
engine-analysis: {rules: yes}
app-layer:
  protocols:
    tls: {enabled: yes}
    http: {enabled: yes}
    quic: {enabled: yes}
    ssh: {enabled: yes}
    dns: {tcp: {enabled: yes}, udp: {enabled: yes}}
"""


def why_missing() -> str | None:
    """Why the rules cannot be run here; None where they can."""
    if shutil.which(EXECUTABLE) is None:
        return "suricata 7 is not installed (Debian: apt-get install -t bookworm-backports suricata)"
    printed = subprocess.run(
        [EXECUTABLE, "-V"], capture_output=True, text=True, check=True, timeout=30
    ).stdout
    if f"version {VERSION}" not in printed:
        return f"the firewall speaks Suricata {VERSION}x, here is: {printed.strip()}"
    return None


@dataclass(frozen=True, kw_only=True)
class EngineRule:
    """A rule as text, and what Suricata made of it: `whole_flow` where its action is for all that follows."""

    signature_id: int
    action: str
    reason: str
    text: str
    whole_flow: bool


class Engine:
    """Suricata with one address group, working in a directory of its own."""

    def __init__(self, directory: Path, home_networks: Sequence[str]) -> None:
        self._directory = directory
        self._home = f"[{','.join(home_networks)}]"
        (directory / "suricata.yaml").write_text(CONFIGURATION)

    def load(self, text: str) -> list[EngineRule]:
        """The rules in their order.

        Raises:
            AssertionError: if Suricata refuses one of them.
        """
        self._run("analysis", text, "--engine-analysis")
        lines = (self._directory / "analysis" / "rules.json").read_text().splitlines()
        analysed = {int(rule["id"]): rule for rule in map(json.loads, lines)}
        return [
            EngineRule(
                signature_id=(number := int(_found(r"sid:(\d+);", line))),
                action=line.split()[0],
                reason=_found(r'msg:"([^"]*)";', line),
                text=line,
                # What is matched on packets ends with them; all else, Suricata applies to the flow.
                whole_flow=analysed[number]["type"] != "pkt",
            )
            for line in text.splitlines()
        ]

    def matches(self, rules: Sequence[EngineRule], flows: Sequence[Flow]) -> Mapping[int, list[int]]:
        """Ids of the rules that match each packet of the flows' capture, packets counted from 1."""
        alerts = "".join(_as_alert(rule) for rule in rules)
        matched: dict[int, list[int]] = defaultdict(list)
        for event in self._judge("matches", alerts, flows):
            if event["event_type"] == "alert":
                matched[event["pcap_cnt"]].append(event["alert"]["signature_id"])
        return matched

    def dropped(self, text: str, flows: Sequence[Flow]) -> set[int]:
        """The packets that Suricata itself drops with these rules, in its own order of actions."""
        events = self._judge("dropped", text, flows)
        return {event["pcap_cnt"] for event in events if event["event_type"] == "drop"}

    def _judge(self, name: str, text: str, flows: Sequence[Flow]) -> Iterator[dict[str, Any]]:
        capture = self._directory / f"{name}.pcap"
        write_capture(capture, flows)
        self._run(name, text, "-r", str(capture), "--simulate-ips", "-k", "none")
        for line in (self._directory / name / "eve.json").read_text().splitlines():
            yield json.loads(line)

    def _run(self, name: str, text: str, *options: str) -> None:
        rules, log = self._directory / f"{name}.rules", self._directory / name
        rules.write_text(text)
        log.mkdir(exist_ok=True)
        finished = subprocess.run(
            [
                EXECUTABLE, "-c", str(self._directory / "suricata.yaml"), "-S", str(rules), "-l", str(log),
                "--init-errors-fatal", "--set", f"vars.address-groups.HOME_NET={self._home}", *options,
            ],
            capture_output=True, text=True, check=False, timeout=TIMEOUT_S,
        )  # fmt: skip
        assert finished.returncode == 0, finished.stdout + finished.stderr


def write_capture(file: Path, flows: Sequence[Flow]) -> None:
    """All packets of the flows, one flow after the other."""
    file.unlink(missing_ok=True)
    with PcapWriter(str(file), linktype=1) as writer:
        for number, segment in enumerate(segment for flow in flows for segment in flow.segments):
            segment.packet.time = 1_700_000_000 + number / 1000
            writer.write(segment.packet)


def _as_alert(rule: EngineRule) -> str:
    return f"alert {rule.text.split(maxsplit=1)[1].replace('noalert; ', '')}\n"


def _found(pattern: str, line: str) -> str:
    match = re.search(pattern, line)
    assert match is not None, f"{line} has no {pattern}"
    return match.group(1)
