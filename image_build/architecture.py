"""For which CPU the image is built: what the environment deploys, if this machine can run it."""

from __future__ import annotations

import platform
from pathlib import Path

from image_build.errors import ImageBuildError
from stacks.settings import Architecture, load

ENVIRONMENTS = Path(__file__).parent.parent / "environments"
NATIVE = "native"
"""Stands for this machine's own CPU."""

PLATFORMS = {Architecture.ARM64: "linux/arm64", Architecture.X86_64: "linux/amd64"}
"""How container tools name the CPUs."""

DEBIAN_NAMES = {Architecture.ARM64: "arm64", Architecture.X86_64: "amd64"}
_MACHINE_NAMES = {
    "aarch64": Architecture.ARM64,
    "arm64": Architecture.ARM64,
    "x86_64": Architecture.X86_64,
    "amd64": Architecture.X86_64,
}
_EMULATORS = {Architecture.ARM64: "qemu-aarch64", Architecture.X86_64: "qemu-x86_64"}


def chosen(wanted: str | None, environment: str) -> Architecture:
    """The architecture asked for by name; without a name `gateway.architecture` of the environment."""
    if wanted == NATIVE:
        return of_this_machine()
    if wanted is not None:
        return Architecture(wanted)
    return load(ENVIRONMENTS / f"{environment}.toml").gateway.architecture


def of_this_machine() -> Architecture:
    """The CPU of this machine.

    Raises:
        ImageBuildError: it is none the gateway is deployed on.
    """
    name = platform.machine().lower()
    if name not in _MACHINE_NAMES:
        raise ImageBuildError(
            f"This machine's CPU is {name}: build on one of {', '.join(sorted(_MACHINE_NAMES))}."
        )
    return _MACHINE_NAMES[name]


def require_runnable(architecture: Architecture, emulators: Path = Path("/proc/sys/fs/binfmt_misc")) -> None:
    """Check that programs of the architecture run here: the build starts the base's Python.

    Raises:
        ImageBuildError: neither the CPU nor an emulator registered with the kernel runs them.
    """
    machine = of_this_machine()
    emulator = _EMULATORS[architecture]
    if architecture is machine or (emulators / emulator).exists():
        return
    raise ImageBuildError(
        f"The image is to be for {architecture}, this machine is {machine}, and its kernel has no emulator "
        f"{emulator} in {emulators}: install qemu-user-static with binfmt support, build on {architecture}, "
        f"or build what this machine runs with ARCHITECTURE={NATIVE}."
    )
