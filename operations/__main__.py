"""The operators' command line. `make` alone lists its commands as they are meant to be called.

Exit status (`make` shows it as `Error n`): 0 done, and nothing found to object to; 1 refused, or something
found (drift, a broken chain of records, a store that did not take a change); 2 a wrong argument; 3 the
account could not be asked: no credentials, denied, throttled, not deployed.
"""

from __future__ import annotations

import argparse
import datetime
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from gateway.control.audit import Action
from gateway.control.flag_declaration import FlagValueError
from gateway.control.refusals import (
    ConflictError,
    NoStoreTookItError,
    TransitionRefusedError,
    UnknownRouteSetError,
    UnknownVersionError,
    VersionConflictError,
)
from operations import audit, flags, kill, models, registry, rotation, route_sets
from operations.environment import ENVIRONMENTS, Account, enter
from operations.errors import REFUSED, OperationError, explained
from stacks.settings import SettingsError, environment_names

Run = Callable[[Account, argparse.Namespace], int]
Command = Callable[[argparse.Namespace], int]

MOVES = (Action.PROMOTE, Action.DEPRECATE, Action.RETIRE, Action.REACTIVATE)
REFUSALS = (
    ConflictError,
    FlagValueError,
    NoStoreTookItError,
    SettingsError,
    TransitionRefusedError,
    UnknownRouteSetError,
    UnknownVersionError,
    VersionConflictError,
)
"""Each says what, why and what would be right."""


def main(words: Sequence[str]) -> int:
    """Run one command; its exit status."""
    options = _parser().parse_args(words)
    _tell_of_records()
    try:
        if options.environment is None:
            return registry.check_declarations(environment_names(ENVIRONMENTS), _today())
        command: Command = options.command_of
        return command(options)
    except OperationError as error:
        return _ended(str(error), error.status)
    except REFUSALS as error:
        return _ended(str(error), REFUSED)
    except (BotoCoreError, ClientError) as error:
        told = explained(error, options.environment)
        return _ended(str(told), told.status)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m operations", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = Commands(parser)
    _add_registry(commands)
    _add_route_sets(commands)
    _add_flags(commands)
    _add_secrets(commands)
    return parser


class Commands:
    """Adds commands that act on one environment."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._commands = parser.add_subparsers(dest="command", required=True)

    def add(
        self,
        name: str,
        what: str,
        run: Run,
        *,
        why: bool = False,
        all_environments: bool = False,
    ) -> argparse.ArgumentParser:
        """A command; with `why` it changes something, and asks for the reason."""
        return self._add(
            name,
            what,
            lambda given: run(enter(given.environment), given),
            why=why,
            all_environments=all_environments,
        )

    def add_for_emergencies(self, name: str, what: str, command: Command) -> argparse.ArgumentParser:
        """A command that changes something, and finds its way into the account itself."""
        return self._add(name, what, command, why=True)

    def _add(
        self, name: str, what: str, command: Command, *, why: bool, all_environments: bool = False
    ) -> argparse.ArgumentParser:
        added = self._commands.add_parser(name, help=what)
        added.add_argument("environment", metavar="ENV", nargs="?" if all_environments else None)
        if why:
            added.add_argument("--why", required=True, help="the reason, for the audit record")
        added.set_defaults(command_of=command)
        return added


def _add_registry(commands: Commands) -> None:
    commands.add(
        "registry-check",
        "what is declared for every environment; with ENV also how what is deployed differs",
        lambda account, _: registry.check_deployed(account, _today()),
        all_environments=True,
    )
    commands.add("registry-plan", "what apply would write", lambda account, _: registry.plan(account))
    applied = commands.add(
        "registry-apply",
        "write the declared versions that are absent",
        lambda account, given: registry.apply(
            account, given.why, lambda asked: given.yes or _confirmed(asked)
        ),
        why=True,
    )
    applied.add_argument("--yes", action="store_true", help="do not ask")
    commands.add("models", "the registered versions", lambda account, _: models.list_models(account))
    for action in MOVES:
        moved = commands.add(
            action,
            f"{action} a version",
            lambda account, given: models.move(
                account, Action(given.command), given.model, given.version, given.why
            ),
            why=True,
        )
        moved.add_argument("--model", required=True, help="for example bedrock#claude-sonnet-4-5")
        moved.add_argument("--version", required=True)
    shown = commands.add(
        "audit",
        "who changed what, and whether the chains hold",
        lambda account, given: audit.show(account, given.subject, logs=given.logs),
    )
    shown.add_argument("--logs", action="store_true", help="hold each record to the line logged with it")
    shown.add_argument("--subject", help="route-set, flag#<name>, model#<provider>#<model>#<version>")


def _add_route_sets(commands: Commands) -> None:
    commands.add(
        "route-sets", "in force, history, library", lambda account, _: route_sets.list_route_sets(account)
    )
    proposed = commands.add(
        "route-set-propose",
        "put a route set into the library",
        lambda account, given: route_sets.propose(account, given.file, given.why),
        why=True,
    )
    proposed.add_argument("--file", type=Path, help="TOML or JSON; without it the declared one")
    activated = commands.add(
        "route-set-activate",
        "put one of the library into force",
        lambda account, given: route_sets.activate(account, given.name, given.version, given.why),
        why=True,
    )
    activated.add_argument("--name", required=True)
    activated.add_argument("--version", required=True)
    commands.add(
        "route-set-rollback",
        "return to the one before",
        lambda account, given: route_sets.rollback(account, given.why),
        why=True,
    )


def _add_flags(commands: Commands) -> None:
    commands.add("flags", "every flag and its tiers", lambda account, _: flags.list_flags(account, _today()))
    changed = commands.add(
        "flag",
        "change a flag",
        lambda account, given: flags.set_flag(account, given.flag, given.value, given.why),
        why=True,
    )
    changed.add_argument("--flag", required=True)
    changed.add_argument("--value", required=True)
    switchings: dict[str, Command] = {
        "kill": lambda given: kill.kill(given.environment, given.provider, given.why),
        "revive": lambda given: kill.revive(given.environment, given.provider, given.why),
    }
    for name, command in switchings.items():
        switched = commands.add_for_emergencies(name, f"{name} a provider, or all", command)
        switched.add_argument("--provider", required=True, choices=sorted(kill.SWITCHES))


def _add_secrets(commands: Commands) -> None:
    commands.add(
        "secrets",
        "how old each secret is",
        lambda account, _: rotation.list_secrets(account, datetime.datetime.now(datetime.UTC)),
    )
    rotated = commands.add(
        "rotate", "rotate a secret now", lambda account, given: rotation.rotate(account, given.secret)
    )
    rotated.add_argument("--secret", required=True, choices=sorted(rotation.SECRETS))


def _today() -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date()


def _confirmed(asked: str) -> bool:
    sys.stdout.write(f"{asked} [y/N] ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _tell_of_records() -> None:
    root = logging.getLogger()
    if not any(isinstance(each, audit.RecordLines) for each in root.handlers):
        root.addHandler(audit.RecordLines())


def _ended(text: str, status: int) -> int:
    sys.stdout.flush()
    sys.stderr.write(f"{text}\n")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
