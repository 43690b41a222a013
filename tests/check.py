"""Everything that can be judged without running the gateway: `make check`.

Each check is a command; they run two at a time, each prints what it took, and a failing one prints
its whole output. Exit status 1 if any failed.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARALLEL_CHECKS = 2
STRICTEST = "production"
TEMPLATE_REGIONS = ("eu-central-1", "eu-west-1")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Check:
    """One command whose exit status is a verdict."""

    name: str
    command: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """How a check ended; `duration_s` is wall time in seconds."""

    check: Check
    passed: bool
    duration_s: float
    output: str


def source_checks() -> list[Check]:
    """What is judged on the sources alone."""
    python = sys.executable
    hadolint = str(Path(python).with_name("hadolint"))
    return [
        Check(name="types", command=(python, "-m", "mypy", ".")),
        Check(name="lint", command=(python, "-m", "ruff", "check", ".")),
        Check(name="format", command=(python, "-m", "ruff", "format", "--check", ".")),
        Check(name="image", command=(hadolint, "gateway_image/Dockerfile")),
        Check(name="settings", command=(python, "-m", "stacks.settings", "check")),
        Check(
            name="flags",
            command=("env", "PYTHONPATH=gateway_image", python, "-m", "gateway", "expired-flags"),
        ),
        Check(name="registry", command=("make", "--no-print-directory", "registry-check")),
    ]


def compliance_check(environment: str) -> Check:
    """Every finding of every pack is acknowledged, and every acknowledgement meets a finding."""
    command = ("make", "--no-print-directory", "compliance", f"ENV={environment}")
    return Check(name=f"compliance {environment}", command=command)


def synthesis_check(environment: str) -> Check:
    """Synthesise one environment offline, judged by the CDK, the rule packs and the house rules."""
    command = ("make", "--no-print-directory", "synth", f"ENV={environment}")
    return Check(name=f"synth {environment}", command=command)


def template_check(environment: str) -> Check:
    """Lint the synthesised templates of one environment against the regions' resource schemas."""
    templates = sorted((ROOT / "cdk.out" / environment).glob("*.template.json"))
    command = (
        str(Path(sys.executable).parent / "cfn-lint"),
        "--regions", *TEMPLATE_REGIONS, "--non-zero-exit-code", "informational",
        "--template", *map(str, templates),
    )  # fmt: skip
    return Check(name=f"cfn-lint {environment}", command=command)


def run(check: Check) -> Verdict:
    """Run one check without credentials, from the project's root."""
    hidden = ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    started = time.monotonic()
    finished = subprocess.run(
        check.command, cwd=ROOT, env=environment, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return Verdict(
        check=check,
        passed=finished.returncode == 0,
        duration_s=time.monotonic() - started,
        output=finished.stdout,
    )


def run_side_by_side(checks: list[Check]) -> list[Verdict]:
    """Run `checks` and report each as soon as it ends."""
    verdicts = []
    with concurrent.futures.ThreadPoolExecutor(PARALLEL_CHECKS) as pool:
        for future in concurrent.futures.as_completed([pool.submit(run, check) for check in checks]):
            report(future.result())
            verdicts.append(future.result())
    return verdicts


def report(verdict: Verdict) -> None:
    """Print one line for a verdict, and the whole output of a failure."""
    mark = "ok    " if verdict.passed else "FAILED"
    print(f"{mark} {verdict.duration_s:6.1f} s  {verdict.check.name}", flush=True)
    if not verdict.passed:
        print(verdict.output, flush=True)


def main(environments: list[str]) -> int:
    """Run all checks for `environments`; 0 if every one passed."""
    started = time.monotonic()
    verdicts: list[Verdict] = []
    verdicts += run_side_by_side(source_checks() + [synthesis_check(name) for name in environments])
    verdicts += run_side_by_side(
        [template_check(name) for name in environments] + [compliance_check(STRICTEST)]
    )
    failed = [verdict.check.name for verdict in verdicts if not verdict.passed]
    total_s = time.monotonic() - started
    print(f"{len(verdicts) - len(failed)} of {len(verdicts)} checks passed in {total_s:.1f} s")
    if failed:
        print("failed: " + ", ".join(failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
