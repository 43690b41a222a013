"""The two programs that build the image: docker where its engine answers, else buildah.

Both write the same kind of archive, the one `docker load` reads.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from image_build.architecture import PLATFORMS
from image_build.errors import ImageBuildError
from image_build.running import run, succeeds
from stacks.settings import Architecture

NAME = "ai-orchestration/gateway"
BASE_NAME = "ai-orchestration/debian-base"
_CERTIFICATE_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Build:
    """One image to be made. Without a `base` it is the Dockerfile's own."""

    context: Path
    architecture: Architecture
    base: str | None

    @property
    def tag(self) -> str:
        """What the image is called."""
        return f"{NAME}:{self.architecture}"

    def arguments(self) -> list[str]:
        """What docker and buildah are told alike."""
        words = ["--platform", PLATFORMS[self.architecture], "--tag", self.tag]
        if self.base is not None:
            words += ["--build-arg", f"PYTHON_IMAGE={self.base}"]
        bundle = certificates_of_this_machine()
        if bundle is not None:
            words += ["--secret", f"id=certificates,src={bundle}"]
        return [*words, str(self.context)]


class BuildTool(Protocol):
    """What builds images; `name` is the program."""

    name: str

    def import_base(self, file_system: Path, architecture: Architecture) -> str:
        """Make an image of a root file system; a name that stands for exactly this content."""

    def build(self, build: Build, archive: Path) -> None:
        """Build and write the image to `archive`."""


class Docker:
    """The docker command with a running engine (23 or newer: the build uses a secret)."""

    name = "docker"

    @staticmethod
    def is_usable() -> bool:
        """Whether the engine answers."""
        return succeeds("docker", "info")

    def import_base(self, file_system: Path, architecture: Architecture) -> str:
        """As `BuildTool` says. A local image has no digest in a registry; its tag names its content."""
        tag = f"{BASE_NAME}:{_digest(file_system)}"
        if not succeeds("docker", "image", "inspect", tag):
            run("docker", "import", "--platform", PLATFORMS[architecture], str(file_system), tag)
        return tag

    def build(self, build: Build, archive: Path) -> None:
        """As `BuildTool` says."""
        environment = {**os.environ, "DOCKER_BUILDKIT": "1"}
        run("docker", "build", *build.arguments(), environment=environment)
        run("docker", "save", "--output", str(archive), build.tag)


class Buildah:
    """buildah, without a daemon and without namespaces; its storage lies below `storage`."""

    name = "buildah"

    def __init__(self, storage: Path) -> None:
        self._storage = storage

    @staticmethod
    def is_usable() -> bool:
        """Whether it is installed."""
        return succeeds("buildah", "--version")

    def import_base(self, file_system: Path, architecture: Architecture) -> str:
        """As `BuildTool` says."""
        tag = f"localhost/{BASE_NAME}:{_digest(file_system)}"
        if not succeeds(*self._command("inspect", "--type", "image", tag)):
            cpu = PLATFORMS[architecture].rpartition("/")[2]
            container = self._run("from", "--arch", cpu, "scratch")
            self._run("add", "--quiet", container, str(file_system), "/")
            self._run("commit", "--quiet", "--rm", "--timestamp", "0", container, tag)
        digest = self._run("images", "--format", "{{.Digest}}", tag)
        return f"{tag.rpartition(':')[0]}@{digest}"

    def build(self, build: Build, archive: Path) -> None:
        """As `BuildTool` says. The Docker format keeps the health check, which OCI's has no place for."""
        self._run(
            "build", "--isolation", "chroot", "--format", "docker", "--layers", "--force-rm",
            "--timestamp", "0",
            *build.arguments(),
        )  # fmt: skip
        archive.unlink(missing_ok=True)
        self._run("push", "--quiet", build.tag, f"docker-archive:{archive}:{build.tag}")

    def _run(self, *words: str) -> str:
        return run(*self._command(*words))

    def _command(self, *words: str) -> Sequence[str]:
        return ("buildah", *self._storage_options(), *words)

    def _storage_options(self) -> tuple[str, ...]:
        """Overlays where this user and file system may mount them: whole copies take four times as long."""
        for driver in ("overlay", "vfs"):
            options = (
                "--storage-driver", driver,
                "--root", str(self._storage / driver), "--runroot", str(self._storage / f"{driver}-run"),
            )  # fmt: skip
            if driver == "vfs" or (os.geteuid() == 0 and succeeds("buildah", *options, "info")):
                return options
        raise AssertionError


def choose(wanted: str | None, storage: Path) -> BuildTool:
    """The tool asked for, or the first that can be used here.

    Raises:
        ImageBuildError: it cannot be used, or none can.
    """
    candidates: dict[str, Docker | Buildah] = {"docker": Docker(), "buildah": Buildah(storage)}
    names = list(candidates) if wanted is None else [wanted]
    for name in names:
        if candidates[name].is_usable():
            return candidates[name]
    raise ImageBuildError(
        f"No image can be built with {' or '.join(names)}: docker needs a running engine (`docker info`), "
        "buildah needs `apt-get install buildah`."
    )


def certificates_of_this_machine() -> Path | None:
    """The certificate authorities pip trusts here, so that it trusts them in the build as well."""
    told = (
        os.environ.get("PIP_CERT"),
        os.environ.get("SSL_CERT_FILE"),
        ssl.get_default_verify_paths().cafile,
    )
    bundles = (Path(bundle) for bundle in (*told, *_CERTIFICATE_BUNDLES) if bundle)
    return next((bundle for bundle in bundles if bundle.is_file()), None)


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()[:16]
