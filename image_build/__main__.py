"""Build the gateway's image for an environment.

    python -m image_build --environment production
    python -m image_build --base debian --architecture native

Writes image.out/<architecture>/gateway.tar (for `docker load`), gateway.cdx.json (its bill of
materials) and built.json (what it was built from).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
import time
from pathlib import Path

from image_build import architecture as architectures
from image_build import bill_of_materials
from image_build.archive import read
from image_build.base import DEBIAN, debian_file_system, require_pinned
from image_build.errors import ImageBuildError
from image_build.tools import Build, BuildTool, choose
from stacks.settings import Architecture, SettingsError

ROOT = Path(__file__).parent.parent
CONTEXT = ROOT / "gateway_image"
OUTPUT = ROOT / "image.out"


def output_folder(architecture: Architecture) -> Path:
    """Where everything of one architecture's image is written."""
    return OUTPUT / architecture


def sources_digest() -> str:
    """The SHA-256 over what the image is made from, to tell an image of other sources."""
    digest = hashlib.sha256()
    for path in sorted(CONTEXT.rglob("*")):
        if path.is_file() and not any(
            part.startswith("__pycache__") or part.endswith("_cache") for part in path.parts
        ):
            digest.update(f"{path.relative_to(CONTEXT)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def build(architecture: Architecture, base: str | None, tool: BuildTool) -> None:
    """Build for `architecture` and write what the module says.

    Raises:
        ImageBuildError: it cannot be built as asked.
    """
    folder = output_folder(architecture)
    folder.mkdir(parents=True, exist_ok=True)
    started_s = time.monotonic()
    sources = sources_digest()
    named_base = base
    if base == DEBIAN:
        file_system = folder / "debian-base.tar"
        debian_file_system(architecture, file_system)
        named_base = tool.import_base(file_system, architecture)
    archive = folder / "gateway.tar"
    print(
        f"image: {architecture}, with {tool.name}, on {named_base or 'the base of the Dockerfile'}",
        flush=True,
    )
    tool.build(Build(context=CONTEXT, architecture=architecture, base=named_base), archive)
    image = read(archive)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        image.unpack(Path(scratch) / "root")
        bill = bill_of_materials.write(image, Path(scratch) / "root", folder / "gateway.cdx.json")
    built = {"image": image.id, "sources": sources, "base": named_base, "tool": tool.name}
    (folder / "built.json").write_text(json.dumps(built, indent=1) + "\n", encoding="utf-8")
    print(
        f"image: sha256:{image.id} in {time.monotonic() - started_s:.0f} s, {len(bill.components)} components"
    )
    for written in ("gateway.tar", "gateway.cdx.json", "built.json"):
        print(f"  {(folder / written).relative_to(ROOT)}")


def main(words: list[str]) -> int:
    """Build as the command line says; 1 with a message if that is not possible."""
    parser = argparse.ArgumentParser(prog="python -m image_build", description=__doc__)
    parser.add_argument("--environment", default="local", help="whose gateway.architecture decides")
    names = [architectures.NATIVE, *Architecture]
    parser.add_argument("--architecture", choices=names, help="instead of the environment's")
    parser.add_argument("--base", help=f"an image with its digest, or {DEBIAN}; else the Dockerfile's")
    parser.add_argument("--tool", choices=("docker", "buildah"), help="else the first that works here")
    arguments = parser.parse_args(words)
    try:
        architecture = architectures.chosen(arguments.architecture, arguments.environment)
        architectures.require_runnable(architecture)
        if arguments.base not in (None, DEBIAN):
            require_pinned(arguments.base)
        build(architecture, arguments.base, choose(arguments.tool, OUTPUT / "buildah"))
    except (ImageBuildError, SettingsError) as error:
        sys.stderr.write(f"make image: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
