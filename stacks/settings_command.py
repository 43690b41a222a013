"""The command line of the settings: `python -m stacks.settings check|schema|bootstrap`."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel

from stacks.settings import environment_names, load
from stacks.settings_check import mistakes
from stacks.settings_errors import SettingsError
from stacks.settings_guardrails import GuardrailPolicySet
from stacks.settings_sections import EnvironmentFile

ENVIRONMENTS = Path(__file__).parent.parent / "environments"

_SCHEMAS: dict[str, type[BaseModel]] = {"environment": EnvironmentFile, "guardrails": GuardrailPolicySet}


def main(arguments: Sequence[str]) -> int:
    """Run the command; the result is the exit status, 1 where a file has mistakes."""
    options = _parser().parse_args(arguments)
    if options.command == "schema":
        print(schema(options.of))
        return 0
    if options.command == "bootstrap":
        return _bootstrap(options.folder, options.environment)
    return _check(options.folder, options.environments or environment_names(options.folder))


def schema(of: str = "environment") -> str:
    """The JSON schema of an `environment` file or of a `guardrails` file, as editors read it."""
    return json.dumps(_SCHEMAS[of].model_json_schema(), indent=2, ensure_ascii=False)


def _check(folder: Path, names: Sequence[str]) -> int:
    if found := mistakes(folder, names):
        print(SettingsError(found), file=sys.stderr)
        return 1
    print(f"{', '.join(names)}: no mistakes")
    return 0


def _bootstrap(folder: Path, name: str) -> int:
    try:
        arguments = load(folder / f"{name}.toml").bootstrap_arguments
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    print(*map(shlex.quote, arguments))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m stacks.settings", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="list every mistake of the environment files")
    check.add_argument("environments", nargs="*", metavar="ENV", help="all where none is named")
    check.add_argument("--folder", type=Path, default=ENVIRONMENTS)
    of_schema = commands.add_parser("schema", help="print the JSON schema")
    of_schema.add_argument("of", nargs="?", choices=sorted(_SCHEMAS), default="environment")
    of_bootstrap = commands.add_parser("bootstrap", help="print the arguments of `cdk bootstrap`")
    of_bootstrap.add_argument("environment", metavar="ENV")
    of_bootstrap.add_argument("--folder", type=Path, default=ENVIRONMENTS)
    return parser
