"""What the image is built on: an image pinned by digest, or Debian's own packages.

An image comes from a registry. Where none can be reached, `debian` makes a base from the packages of
the same Debian release with its security updates; Debian's own Python 3.13 takes the place of the
one compiled for the registry's image.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from image_build.architecture import DEBIAN_NAMES
from image_build.errors import ImageBuildError
from image_build.running import run
from stacks.settings import Architecture

DEBIAN = "debian"
"""What to ask for as a base to get Debian's own packages."""

RELEASE = "trixie"
PACKAGES = ("python3", "python3-venv", "ca-certificates")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SOURCES = tuple(
    f"deb [signed-by={KEYRING}] http://deb.debian.org/{archive} main"
    for archive in (f"debian {RELEASE}", f"debian {RELEASE}-updates", f"debian-security {RELEASE}-security")
)
_PINNED = re.compile(r"@sha256:[0-9a-f]{64}$")


def require_pinned(base: str) -> None:
    """Check that a base names one content for ever.

    Raises:
        ImageBuildError: it has no digest, so that two builds could differ.
    """
    if not _PINNED.search(base):
        raise ImageBuildError(
            f"The base {base!r} is not pinned: name it with its digest (<image>@sha256:<64 hexadecimal "
            f"digits>), or take BASE={DEBIAN} to build on Debian's packages."
        )


def debian_file_system(architecture: Architecture, file: Path) -> None:
    """Write the root file system of Debian's packages to the tar archive `file`, unless it is there.

    Raises:
        ImageBuildError: mmdebstrap is missing or fails.
    """
    if file.exists():
        print(f"base: {file} of an earlier build (delete it for newer packages)", flush=True)
        return
    if shutil.which("mmdebstrap") is None or not KEYRING.exists():
        raise ImageBuildError(
            f"BASE={DEBIAN} needs mmdebstrap and {KEYRING}: "
            "apt-get install mmdebstrap debian-archive-keyring."
        )
    print(f"base: Debian {RELEASE} with {', '.join(PACKAGES)}, by mmdebstrap", flush=True)
    unfinished = file.with_suffix(".unfinished.tar")
    run(
        "mmdebstrap", "--quiet", "--variant=minbase", f"--architectures={DEBIAN_NAMES[architecture]}",
        f"--include={','.join(PACKAGES)}", RELEASE, str(unfinished), *SOURCES,
        environment={**os.environ, "SOURCE_DATE_EPOCH": "0"},
    )  # fmt: skip
    unfinished.rename(file)
