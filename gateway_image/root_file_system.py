"""Assembles the root file system the gateway's process needs, out of the base image it runs in.

    python3 root_file_system.py /opt/gateway /target

What is copied: the interpreter that runs this and its standard library, the shared libraries it and
the virtual environment /opt/gateway load, certificate authorities, and the Debian record and licence
of every package a copied file came from (in /var/lib/dpkg/status.d, where scanners look for it).
What is not copied does not exist in the image: no shell, no package manager, no compiler, no pip.
"""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
SYSTEM_FILES = (
    CERTIFICATES,
    Path("/etc/os-release"),
    Path("/etc/debian_version"),
    Path("/etc/ld.so.conf"),
)
EMPTY_FOLDERS = ("dev", "etc", "proc", "sys")
ACCOUNTS = {
    "etc/passwd": "root:x:0:0:root:/:/nonexistent\ngateway:x:65532:65532:gateway:/nonexistent:/nonexistent\n",
    "etc/group": "root:x:0:\ngateway:x:65532:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
LEFT_OUT_MODULES = frozenset(
    {"ensurepip", "venv", "test", "idlelib", "tkinter", "turtledemo", "turtle.py", "lib2to3", "pydoc_data"}
    | {"curses", "dbm", "sqlite3", "readline", "site-packages", "dist-packages", "EXTERNALLY-MANAGED"}
)
"""Parts of the standard library that build, teach or draw, or load libraries nothing here uses."""

LEFT_OUT_EXTENSIONS = re.compile(r"_?(curses|curses_panel|g?dbm|sqlite3|readline|tkinter|test\w*|xx\w*)\.")
GENERATED = {CERTIFICATES: "ca-certificates"}
"""Files that a package's own installation writes, so that no file list names them."""


class RootFileSystemError(Exception):
    """The base lacks something; names it and the remedy."""


def assemble(environment: Path, target: Path) -> None:
    """Fill `target` with what the virtual environment `environment` needs to run."""
    interpreter = Path(sys.executable)
    library = list(standard_library(Path(sysconfig.get_path("stdlib"))))
    loading = [interpreter, *with_shared_code(library), *with_shared_code(environment.rglob("*"))]
    libraries = [path for path in shared_libraries(loading) if not path.is_relative_to(environment)]
    system_files = [*SYSTEM_FILES, *Path("/etc/ld.so.conf.d").glob("*.conf")]
    missing = [str(path) for path in (interpreter, CERTIFICATES) if not path.exists()]
    if missing:
        raise RootFileSystemError(
            f"The base has no {', '.join(missing)}: take one with Python and ca-certificates."
        )
    copied: set[Path] = set()
    for path in (interpreter, *library, *libraries, *system_files):
        copied.add(copy(path, target))
    for name in EMPTY_FOLDERS:
        (target / name).mkdir(parents=True, exist_ok=True)
    for name, text in ACCOUNTS.items():
        (target / name).write_text(text, encoding="utf-8")
    keep_records(copied, target)


def standard_library(root: Path) -> Iterator[Path]:
    """The files below `root` that run-time code may import."""
    for path in sorted(root.iterdir()):
        if path.name in LEFT_OUT_MODULES or path.name == "__pycache__":
            continue
        if not path.is_dir():
            yield path
        elif not path.name.startswith("config-"):
            yield from (file for file in sorted(path.rglob("*")) if file.is_file() and _is_run_time(file))


def _is_run_time(file: Path) -> bool:
    left_out = file.parent.name == "lib-dynload" and LEFT_OUT_EXTENSIONS.match(file.name)
    return "__pycache__" not in file.parts and not left_out


def with_shared_code(paths: Iterable[Path]) -> list[Path]:
    """Those of `paths` that are shared objects."""
    return [path for path in paths if re.search(r"\.so(\.|$)", path.name) and path.is_file()]


def shared_libraries(files: list[Path]) -> list[Path]:
    """Everything the dynamic loader maps for `files`, the loader included.

    Raises:
        RootFileSystemError: a library is not in the base.
    """
    listed = subprocess.run(["ldd", *map(str, files)], capture_output=True, text=True, check=True).stdout  # noqa: S603, S607
    missing = sorted(set(re.findall(r"(\S+) => not found", listed)))
    if missing:
        raise RootFileSystemError(
            f"The base has no {', '.join(missing)}: add the package or drop what needs it."
        )
    return sorted({Path(path) for path in re.findall(r"^\s+(?:\S+ => )?(/\S+) \(0x", listed, re.MULTILINE)})


def copy(path: Path, target: Path) -> Path:
    """Copy one file to the same place below `target`, with every symbolic link on the way; its real path."""
    current = Path("/")
    waiting = list(reversed(path.parts[1:]))
    while waiting:
        name = waiting.pop()
        if name == "..":
            current = current.parent
            continue
        found = current / name
        placed = target / found.relative_to("/")
        if found.is_symlink():
            link = found.readlink()
            if not placed.is_symlink():
                placed.symlink_to(link)
            waiting.extend(reversed(link.parts[1:] if link.is_absolute() else link.parts))
            current = Path("/") if link.is_absolute() else current
        elif found.is_dir():
            placed.mkdir(parents=True, exist_ok=True)
            current = found
        else:
            shutil.copy(found, placed)
            current = found
    return current


def keep_records(copied: set[Path], target: Path) -> None:
    """Write the Debian record, and copy the licence, of every package that owns one of `copied`."""
    owners = package_of_file()
    packages = {owners[path] for path in copied if path in owners}
    packages |= {package for path, package in GENERATED.items() if path in copied}
    records = target / "var/lib/dpkg/status.d"
    records.mkdir(parents=True)
    for paragraph in Path("/var/lib/dpkg/status").read_text(encoding="utf-8").split("\n\n"):
        name = re.search(r"^Package: (\S+)$", paragraph, re.MULTILINE)
        if name and name[1] in packages:
            (records / name[1]).write_text(paragraph.strip() + "\n", encoding="utf-8")
    for package in packages:
        licence = Path("/usr/share/doc") / package / "copyright"
        if licence.exists():
            copy(licence, target)


def package_of_file() -> dict[Path, str]:
    """Every file of the base's Debian packages by its real path."""
    real_folder = functools.cache(Path.resolve)
    owners: dict[Path, str] = {}
    for listing in sorted(Path("/var/lib/dpkg/info").glob("*.list")):
        for line in listing.read_text(encoding="utf-8").splitlines():
            path = Path(line)
            owners[real_folder(path.parent) / path.name] = listing.stem.partition(":")[0]
    return owners


if __name__ == "__main__":
    try:
        assemble(Path(sys.argv[1]), Path(sys.argv[2]))
    except RootFileSystemError as error:
        sys.exit(str(error))
