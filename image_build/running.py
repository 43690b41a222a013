"""Runs the programs that build an image."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping

from image_build.errors import ImageBuildError

SHOWN_LINES = 40


def run(*command: str, environment: Mapping[str, str] | None = None) -> str:
    """Run a command quietly; its standard output, stripped.

    Raises:
        ImageBuildError: it failed; with the end of what it said.
    """
    finished = subprocess.run(  # noqa: S603 - words of this package, no shell
        command, capture_output=True, text=True, check=False, env=environment
    )
    if finished.returncode != 0:
        told = (finished.stdout + finished.stderr).strip().splitlines()[-SHOWN_LINES:]
        raise ImageBuildError("\n".join([f"{shlex.join(command)} ended with {finished.returncode}:", *told]))
    return finished.stdout.strip()


def succeeds(*command: str) -> bool:
    """Whether a command can be run and ends well."""
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603
    except FileNotFoundError:
        return False
