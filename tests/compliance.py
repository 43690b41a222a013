"""The compliance report: `make compliance ENV=production`.

What every pack of rules finds in an environment, and why it is accepted. Exit status 1 if a finding is
neither repaired nor acknowledged, or an acknowledgement meets no finding.
"""

from __future__ import annotations

import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.stacks.review import Finding, Review, review
from tests.stacks.synthesis import load_environment


def lines(name: str, reviewed: Review) -> Iterator[str]:
    """The report of one environment, as text."""
    yield f"{name}: every finding of every pack"
    yield f"  {'pack':<26}{'findings':>10}{'acknowledged':>14}{'open':>6}"
    for pack in sorted({finding.pack for finding in reviewed.findings}):
        of_pack = [finding for finding in reviewed.findings if finding.pack == pack]
        open_of_pack = [finding for finding in reviewed.open if finding.pack == pack]
        accepted = len(of_pack) - len(open_of_pack)
        yield f"  {pack:<26}{len(of_pack):>10}{accepted:>14}{len(open_of_pack):>6}"
    yield "acknowledged, by reason:"
    for reason, accepted_findings in _by_reason(reviewed).items():
        yield f"  {reason}"
        yield from (f"    {line}" for line in _grouped(accepted_findings))
    yield from (
        f"OPEN   {finding.rule} at {finding.path}: {finding.description}" for finding in reviewed.open
    )
    yield from (
        f"STALE  {one.finding} is acknowledged at {one.path}, and nothing objects to it: delete it"
        for one in reviewed.stale
    )


def _by_reason(reviewed: Review) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = defaultdict(list)
    for finding in reviewed.findings:
        for one in reviewed.accepting(finding)[:1]:
            found[one.reason].append(finding)
    return found


def _grouped(findings: list[Finding]) -> Iterator[str]:
    """One line for each rule, whichever packs have it, with the places."""
    places: dict[str, set[str]] = defaultdict(set)
    for finding in findings:
        places[finding.rule.removeprefix(f"{finding.pack}-")].add(finding.path)
    for rule, paths in sorted(places.items()):
        packs = sorted({finding.pack for finding in findings if finding.rule.endswith(rule)})
        yield f"{rule} ({', '.join(packs)}): {', '.join(sorted(paths))}"


def main(environments: list[str]) -> int:
    """Print the report of each environment; 1 if something is open or stale."""
    failed = False
    for name in environments:
        with tempfile.TemporaryDirectory() as directory:
            reviewed = review(load_environment(name), Path(directory))
        print(*lines(name, reviewed), sep="\n")
        failed |= bool(reviewed.open or reviewed.stale)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
