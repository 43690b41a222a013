"""Everything to be said about a scaling section under a traffic."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from capacity import judgement_of_cost, judgement_of_latency
from capacity.findings import Finding, Severity
from capacity.simulation import Run


def judge(run: Run) -> Sequence[Finding]:
    """Warnings first, then notes, each in the order of time."""
    rules = (*judgement_of_latency.RULES, *judgement_of_cost.RULES)
    findings = [finding for rule in rules for finding in rule(run)]
    always = datetime.datetime.min.replace(tzinfo=datetime.UTC)
    return sorted(findings, key=lambda finding: (finding.severity != Severity.WARNING, finding.at or always))
