"""`python -m capacity plan ENV | costs | documents`: what scaling does and what an environment costs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from capacity.cost_command import run_costs
from capacity.documents import write_documents
from capacity.errors import CapacityError
from capacity.plan_command import PlanRequest, run_plan
from stacks.settings import SettingsError

PICTURES = Path(".plan")


def main(arguments: Sequence[str]) -> int:
    """Run the command; 1 where an input cannot be used, with one message that says why."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except (CapacityError, SettingsError) as error:
        print(error, file=sys.stderr)
        return 1


def _run(options: argparse.Namespace) -> int:
    if options.command == "costs":
        run_costs()
        return 0
    if options.command == "documents":
        write_documents(main)
        return 0
    run_plan(
        PlanRequest(
            environment=options.environment,
            traffic=options.traffic,
            compare=options.compare,
            peak_requests_per_s=_load(options.peak),
            every_hour=options.hours,
            brief=options.brief,
            pictures=None if options.no_picture else options.pictures,
        )
    )
    return 0


def _load(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError as error:
        raise CapacityError(
            f"PEAK={text}", why="it is no number", fix="give requests a second, e.g. PEAK=500"
        ) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m capacity", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    plan = commands.add_parser("plan", help="simulate an environment's scaling section")
    plan.add_argument("environment", metavar="ENV")
    plan.add_argument("--traffic", type=Path, help="CSV: timestamp,requests_per_s,p50_ms[,p95_ms]")
    plan.add_argument("--compare", type=Path, help="TOML file with another section [scaling]")
    plan.add_argument("--peak", help="requests/s of the synthetic week's working days")
    plan.add_argument("--hours", action="store_true", help="list every hour")
    plan.add_argument("--brief", action="store_true", help="totals and findings only")
    plan.add_argument("--pictures", type=Path, default=PICTURES, help="where PNG and SVG are written")
    plan.add_argument("--no-picture", action="store_true", help="print the table only")
    commands.add_parser("costs", help="what each environment costs a month, by part")
    commands.add_parser("documents", help="put the present outputs into docs/")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
