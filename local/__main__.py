"""`python -m local up|down|status|logs`: what `make` calls.

Variables it reads: `LOCAL_STATE_DIRECTORY` (default `.local`), `LOCAL_EMULATOR_PORT` (4566),
`LOCAL_PROVIDERS_PORT` (4580), `LOCAL_GATEWAY_PORT` (8080), `LOCAL_EMULATOR_PYTHON` (the interpreter of
the emulator's environment). A provider is real, not simulated, with `AWS_BEARER_TOKEN_BEDROCK`; with
`GOOGLE_APPLICATION_CREDENTIALS` and `GOOGLE_CLOUD_PROJECT`; with `LLAMA_API_KEY` and `LLAMA_BASE_URL`.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys

from local import first_request, logs, status
from local.cloud import EmbeddedCloud
from local.dockerfile import DockerfileError
from local.image_store import ImageError
from local.ports import PortError, Ports
from local.progress import Progress, StepError
from local.state import BusyError, StateDirectory, read_json
from local.task_definition import TaskError
from stacks.settings import SettingsError

_INTERRUPTED = 130


def main(words: list[str]) -> int:
    """Run one command; the exit status is 0, 1 for a failure that was explained, 130 if interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m local", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("up", "down", "status"):
        commands.add_parser(name)
    commands.add_parser("logs").add_argument("--follow", action="store_true")
    arguments = parser.parse_args(words)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _run(arguments, StateDirectory.from_environment())
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted: `make up` goes on from here, `make down` stops what runs\n")
        return _INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read has seen enough
    except StepError as error:
        details = "".join(f"    {line}\n" for line in error.details.splitlines())
        sys.stderr.write(f"\n{arguments.command}: {error.reason}\n{details}  → {error.remedy}\n")
        return 1
    except (PortError, BusyError, ImageError, DockerfileError, TaskError, SettingsError) as error:
        sys.stderr.write(f"\n{arguments.command}: {error}\n")
        return 1
    return 0


def _run(arguments: argparse.Namespace, state: StateDirectory) -> None:
    if arguments.command == "up":
        _up(state)
    elif arguments.command == "down":
        stopped = EmbeddedCloud(state, _ports_in_use(state)).down()
        sys.stdout.write(f"stopped: {', '.join(stopped) or 'nothing was running'}\n")
    elif arguments.command == "status":
        for line in status.report(state, _ports_in_use(state)):
            sys.stdout.write(line + "\n")
    else:
        logs.show(state, follow=arguments.follow)


def _up(state: StateDirectory) -> None:
    progress = Progress()
    progress.say("Embedded cloud")
    connection = EmbeddedCloud(state, Ports.from_environment(), progress=progress).up()
    with progress.step("First request"):
        answer = first_request.send(connection)
    progress.say(f"  ready after {progress.elapsed_s:.1f} s\n")
    progress.say(first_request.explanation(answer, connection, state.connection_file))


def _ports_in_use(state: StateDirectory) -> Ports:
    """The ports of the running cloud, whatever this shell's variables say."""
    used = read_json(state.ports_file)
    return Ports(**used) if used else Ports.from_environment()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
