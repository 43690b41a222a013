"""Prints what the firewall does with every crafted flow: `make egress-table`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.egress.engine import Engine, why_missing
from tests.egress.flows import all_flows
from tests.egress.strict_order import Fate, fates
from tests.egress.synthesised import network_resources, policy_of, production_with_a_suffix


def main() -> int:
    """Print the table; 1 where a flow does not meet its fate, 2 where nothing can be judged."""
    reason = why_missing()
    if reason is not None:
        print(reason, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        policy = policy_of(network_resources(production_with_a_suffix(), directory / "template"))
        found = fates(Engine(directory, policy.home_networks), policy, all_flows())
    print("\n".join(lines(found)))
    wrong = [fate for fate in found if not _as_expected(fate)]
    print(f"\n{len(found)} flows, {len(found) - len(wrong)} as expected")
    return 1 if wrong else 0


def lines(found: Iterable[Fate]) -> Iterator[str]:
    """The rows of a Markdown table."""
    yield "| flow | verdict | by | bytes of the client before it | as expected |"
    yield "|---|---|---|---|---|"
    for fate in found:
        mark = "yes" if _as_expected(fate) else f"**no: {fate.flow.verdict} by {fate.flow.reason}**"
        yield f"| {fate.flow.name} | {fate.verdict} | {fate.reason} | {fate.leak_bytes} | {mark} |"


def _as_expected(fate: Fate) -> bool:
    flow = fate.flow
    return (fate.verdict, fate.reason, fate.leak_bytes) == (flow.verdict, flow.reason, flow.leak_bytes)


if __name__ == "__main__":
    sys.exit(main())
