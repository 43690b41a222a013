"""What is in the image, and what must not be."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from image_build.architecture import PLATFORMS, of_this_machine
from image_build.archive import ImageArchive

UNCHECKED_HASH = b"\x01\x00\x00\x00"
"""Second word of a bytecode file that is used without a look at its source (PEP 552)."""

BUILD_MODULES = {"pip", "setuptools", "wheel", "ensurepip", "venv", "distutils", "build"}


def files(root: Path) -> Iterator[Path]:
    return (path for path in root.rglob("*") if path.is_file() and not path.is_symlink())


def in_image(path: Path, root: Path) -> str:
    return f"/{path.relative_to(root)}"


def site_packages(root: Path) -> Path:
    (folder,) = root.glob("opt/gateway/lib/python3.*/site-packages")
    return folder


def standard_library(root: Path) -> Path:
    (module,) = root.glob("usr/**/python3.13/os.py")
    return module.parent


def test_it_says_how_it_runs(image: ImageArchive) -> None:
    assert image.user == "65532:65532"
    assert image.entry_point == ("python", "-m", "gateway")
    assert image.health_check == ("CMD", "python", "-m", "gateway", "health")
    assert f"linux/{image.architecture}" == PLATFORMS[of_this_machine()]


def test_the_interpreter_is_python_3_13(root: Path) -> None:
    assert site_packages(root).parent.name == "python3.13"


def test_the_interpreter_is_the_only_program(root: Path) -> None:
    """No shell, no package manager, no compiler: nothing to be run but Python."""
    programs = {
        in_image(path, root)
        for path in files(root)
        if path.read_bytes()[:4] == b"\x7fELF" and ".so" not in path.name
    }
    assert programs == {in_image(standard_library(root).parents[1] / "bin/python3.13", root)}
    commands = {
        path.name
        for folder in root.rglob("*")
        if folder.name in ("bin", "sbin") and folder.is_dir()
        for path in folder.iterdir()
    }
    assert commands <= {"python", "python3", "python3.13"}


def test_nothing_that_installs_or_builds_is_left(root: Path) -> None:
    libraries = [standard_library(root), root / "usr/lib/python3/dist-packages", site_packages(root)]
    found = {
        in_image(path, root)
        for library in libraries
        for name in BUILD_MODULES
        for path in library.glob(f"{name}*")
    }
    assert not found
    assert not {in_image(path, root) for path in root.rglob("*.whl")}
    assert not {in_image(path, root) for path in root.rglob("*.h") if "site-packages" not in path.parts}


def test_everything_belongs_to_root_and_nobody_else_may_write(root: Path) -> None:
    wrong = set()
    for path in root.rglob("*"):
        status = path.lstat()
        writable = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not stat.S_ISLNK(status.st_mode)
        privileged = status.st_mode & (stat.S_ISUID | stat.S_ISGID)
        if status.st_uid or status.st_gid or writable or privileged:
            wrong.add(
                f"{in_image(path, root)} {stat.filemode(status.st_mode)} {status.st_uid}:{status.st_gid}"
            )
    assert not wrong


def test_all_bytecode_is_there_and_used_without_a_look_at_the_clock(root: Path) -> None:
    """A read-only file system keeps no bytecode: what is missing or stale is compiled at every start."""
    slow = set()
    for folder in (standard_library(root), root / "srv", site_packages(root)):
        for source in folder.rglob("*.py"):
            bytecode = source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc"
            if not bytecode.exists() or bytecode.read_bytes()[4:8] != UNCHECKED_HASH:
                slow.add(in_image(source, root))
    assert not slow


def test_every_installed_file_is_the_one_of_its_wheel(root: Path) -> None:
    """By the hashes of RECORD, which the hash of the wheel in requirements.txt covers."""
    folder = site_packages(root)
    recorded: dict[Path, str] = {}
    for distribution in importlib.metadata.distributions(path=[str(folder)]):
        for file in distribution.files or ():
            if file.hash is not None:
                recorded[Path(os.path.normpath(folder / file))] = file.hash.value
    changed = {
        in_image(path, root)
        for path in files(folder)
        if path.suffix != ".pyc"
        and path.name not in ("RECORD", "INSTALLER", "REQUESTED")
        and recorded.get(path) != _encoded_digest(path)
    }
    assert not changed


def test_the_application_is_this_one(root: Path) -> None:
    package = Path(__file__).parents[2] / "gateway_image/gateway"
    shipped = {
        str(path.relative_to(root / "srv/gateway")): path.read_bytes()
        for path in (root / "srv").rglob("*.py")
    }
    assert shipped == {str(path.relative_to(package)): path.read_bytes() for path in package.rglob("*.py")}


def _encoded_digest(path: Path) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).decode().rstrip("=")
