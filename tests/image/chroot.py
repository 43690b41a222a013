"""Starts the image's process without a container engine: its root file system, its user, nothing writable.

util-linux and a mount namespace of its own: the unpacked files are mounted read-only, /proc is added as
every engine does, and the process has the image's user, environment and working directory.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from image_build.archive import ImageArchive

_MOUNT_AND_ENTER = """
set -e
root=$1
shift
mount --bind "$root" "$root"
mount -o remount,bind,ro,nosuid,nodev "$root"
mount -t proc proc "$root/proc"
exec env -i "$@"
"""


def reason_not_to() -> str | None:
    """Why nothing can be started here; None if it can."""
    missing = [name for name in ("unshare", "mount", "env", "setpriv") if shutil.which(name) is None]
    if missing:
        return f"util-linux lacks {', '.join(missing)}"
    if os.geteuid() != 0:
        return "only root can mount and change the root directory; run it as root or in CI"
    probe = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True, check=False)
    return None if probe.returncode == 0 else f"no mount namespace: {probe.stderr.strip()}"


def command(
    image: ImageArchive, root: Path, words: tuple[str, ...], variables: Mapping[str, str]
) -> tuple[str, ...]:
    """The command that runs `words` in the image; its process is that of `words`, so signals reach it."""
    user, _, group = image.user.partition(":")
    environment = {**image.environment, **variables}
    return (
        _program("unshare"), "--mount", "--propagation", "private",
        _program("sh"), "-c", _MOUNT_AND_ENTER, "image", str(root),
        *(f"{name}={value}" for name, value in environment.items()),
        _program("setpriv"), "--no-new-privs",
        _program("unshare"), f"--root={root}", f"--wd={image.working_directory}",
        f"--setgid={group}", f"--setuid={user}",
        *words,
    )  # fmt: skip


def run(
    image: ImageArchive, root: Path, *words: str, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `words` in the image to their end."""
    return subprocess.run(
        command(image, root, words, variables or {}), capture_output=True, text=True, check=False, timeout=60
    )


def _program(name: str) -> str:
    found = shutil.which(name)
    assert found is not None, f"{name} is missing; reason_not_to() tells"
    return found
