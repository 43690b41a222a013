"""The image under test: what `make image` last wrote for this machine."""

from __future__ import annotations

import json
import os
import shutil

from image_build.__main__ import output_folder, sources_digest
from image_build.architecture import of_this_machine
from tests.image import chroot

COMMAND = "make image BASE=debian ARCHITECTURE=native"
FOLDER = output_folder(of_this_machine())
ARCHIVE = FOLDER / "gateway.tar"
BILL = FOLDER / "gateway.cdx.json"
BUILT = FOLDER / "built.json"


def must_be_tested() -> bool:
    """Continuous integration refuses to skip, where it runs as root."""
    return os.environ.get("CI") == "true" and os.geteuid() == 0


def reason_not_to_test() -> str | None:
    """Why there is no image to be tested; None if there is one of the present sources."""
    if not BUILT.exists():
        tools = [name for name in ("buildah", "mmdebstrap") if shutil.which(name) is None]
        install = f"apt-get install {' '.join(tools)}, then " if tools else ""
        return f"no image: {install}{COMMAND}"
    if json.loads(BUILT.read_text())["sources"] != sources_digest():
        return f"the image in {FOLDER} is one of other sources: {COMMAND}"
    return chroot.reason_not_to()
