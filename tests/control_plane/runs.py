"""`make control-plane-runs`: thousands of random runs of the control plane, and what was done in them."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable

from tests.control_plane.driver import Failure, Report, run

RUNS = 2_000
STEPS = 40
TOLD_EVERY = 500


def played(seeds: Iterable[int], steps: int = STEPS) -> tuple[Report, list[Failure]]:
    """The runs of `seeds`, one after the other."""
    report, failures = Report(), list[Failure]()
    for seed in seeds:
        outcome = run(seed, steps)
        if isinstance(outcome, Failure):
            failures.append(outcome)
            report.runs += 1
            continue
        report.add(outcome)
        if report.runs % TOLD_EVERY == 0:
            print(f"{report.runs} runs", flush=True)
    return report, failures


def main(runs: int) -> int:
    """1 where a run broke what must hold."""
    started_s, started_cpu_s = time.monotonic(), time.process_time()
    report, failures = played(range(runs))
    took_s, cpu_s = time.monotonic() - started_s, time.process_time() - started_cpu_s
    for failure in failures:
        print(failure)
    print(f"runs {report.runs}, operations one after the other {report.steps}, broken {len(failures)}")
    print(f"operations by kind, those in between among them: {_listed(report.operations)}")
    print(f"changes: {_listed(report.effects)}")
    crashes = report.happened["crash before"] + report.happened["crash after"]
    print(f"crashes {crashes}, events lost {report.happened['event lost']}; {_listed(report.happened)}")
    print(f"took {took_s:.0f} s, of the processor {cpu_s:.0f} s")
    return int(bool(failures))


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS))
