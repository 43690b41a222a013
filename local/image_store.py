"""Container images as folders: what stands for Docker here.

    <root>/images/<image id>/image.json     how the image's process starts
    <root>/images/<image id>/files/…        the files its Dockerfile copies, laid out as in the image
    <root>/tags.json                        tag → image id

`local/image_tool.py` offers this to the CDK command line, the task runner reads it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from local.dockerfile import Copy, Stage, read


class ImageError(Exception):
    """An image that cannot be built or found; names it and the remedy."""


@dataclass(frozen=True)
class Image:
    """One image of the store. `files` is where its root file system lies on this machine."""

    id: str
    files: Path
    working_directory: str
    environment: Mapping[str, str]
    entry_point: tuple[str, ...]
    command: tuple[str, ...]

    def on_this_machine(self, path: str) -> Path:
        """Where an absolute path of the image lies."""
        return self.files / path.lstrip("/")


class ImageStore:
    """The images below one folder."""

    def __init__(self, root: Path) -> None:
        self._images = root / "images"
        self._tags_file = root / "tags.json"

    def build(self, context: Path, tag: str, dockerfile: str = "Dockerfile") -> Image:
        """Build `context` as its Dockerfile says, as far as `local.dockerfile` reads it.

        Raises:
            ImageError: no Dockerfile, or a COPY of something the context lacks.
            DockerfileError: an instruction that is not followed here.
        """
        file = context / dockerfile
        if not file.is_file():
            raise ImageError(f"{context} has no {dockerfile}: an image is built from one.")
        self._images.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._images, prefix="building-") as scratch:
            stages = read(file.read_text(encoding="utf-8"))
            for stage in stages:
                _lay_out(stage, context, Path(scratch))
            image_id = self._keep(stages[-1], Path(scratch) / stages[-1].name)
        self.tag(image_id, tag)
        return self.image(tag)

    def tag(self, existing: str, tag: str) -> None:
        """Give the image another name; `existing` is a tag or an id."""
        image_id = self._id(existing)
        # The CDK command line handles several images at a time, each in a process of its own.
        with self._tags_file.with_name("tags.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            tags = self._tags() | {tag: image_id}
            self._tags_file.write_text(json.dumps(tags, indent=1), encoding="utf-8")

    def image(self, name: str) -> Image:
        """The image of a tag or id.

        Raises:
            ImageError: there is none.
        """
        folder = self._images / self._id(name)
        start = json.loads((folder / "image.json").read_text(encoding="utf-8"))
        return Image(
            folder.name,
            folder / "files",
            start["working_directory"],
            start["environment"],
            tuple(start["entry_point"]),
            tuple(start["command"]),
        )

    def clear(self) -> None:
        """Forget every image."""
        shutil.rmtree(self._images, ignore_errors=True)
        self._tags_file.unlink(missing_ok=True)

    def _keep(self, stage: Stage, files: Path) -> str:
        start = asdict(stage)
        description = json.dumps(
            {name: start[name] for name in ("working_directory", "environment", "entry_point", "command")},
            sort_keys=True,
        )
        image_id = _digest(files, description)
        folder = self._images / image_id
        if not folder.exists():
            folder.mkdir()
            files.rename(folder / "files")
            (folder / "image.json").write_text(description, encoding="utf-8")
        return image_id

    def _tags(self) -> dict[str, str]:
        if not self._tags_file.exists():
            return {}
        return dict(json.loads(self._tags_file.read_text(encoding="utf-8")))

    def _id(self, name: str) -> str:
        image_id = self._tags().get(name, name)
        if not (self._images / image_id / "image.json").is_file():
            raise ImageError(f"There is no image {name} in {self._images}: `make up` builds and pushes it.")
        return image_id


def _lay_out(stage: Stage, context: Path, scratch: Path) -> None:
    root = scratch / stage.name
    (root / stage.working_directory.lstrip("/")).mkdir(parents=True, exist_ok=True)
    for copy in stage.copies:
        if copy.from_stage is None:
            _copy(copy, context, root, required=True)
        elif (scratch / copy.from_stage).is_dir():
            # Missing sources were made by RUN, which the project's own environment stands for.
            _copy(copy, scratch / copy.from_stage, root, required=False)


def _copy(copy: Copy, origin: Path, root: Path, *, required: bool) -> None:
    target = root / copy.target.strip("/")
    for pattern in copy.sources:
        sources = _matching(origin, pattern)
        if required and not sources:
            raise ImageError(f"COPY {pattern}: the build context {origin} has no such file.")
        into_directory = copy.target.endswith("/") or target.is_dir()
        for source in sources:
            if source.is_dir():
                shutil.copytree(source, target, dirs_exist_ok=True)
            else:
                file = target / source.name if into_directory else target
                file.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, file)


def _matching(origin: Path, pattern: str) -> list[Path]:
    relative = pattern.strip("/")
    if relative in ("", "."):
        return [origin]
    return sorted(origin.glob(relative))


def _digest(files: Path, description: str) -> str:
    digest = hashlib.sha256(description.encode())
    for file in _files(files):
        digest.update(str(file.relative_to(files)).encode() + b"\0")
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())
