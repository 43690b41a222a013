"""Reads an image archive as `docker save` and buildah write it: how it starts, its layers, its files."""

from __future__ import annotations

import dataclasses
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from image_build.errors import ImageBuildError

_COMPRESSION_LEVEL = 6
"""What docker and buildah push with."""


class _Manifest(msgspec.Struct):
    """An entry of manifest.json: which files hold the image's configuration and its layers."""

    configuration: str = msgspec.field(name="Config")
    layers: list[str] = msgspec.field(name="Layers")


class _HealthCheck(msgspec.Struct):
    test: list[str] = msgspec.field(name="Test")


class _Start(msgspec.Struct):
    """How the image's process starts; https://github.com/moby/docker-image-spec."""

    environment: list[str] = msgspec.field(name="Env", default_factory=list)
    entry_point: list[str] | None = msgspec.field(name="Entrypoint", default=None)
    health_check: _HealthCheck | None = msgspec.field(name="Healthcheck", default=None)
    user: str = msgspec.field(name="User", default="")
    working_directory: str = msgspec.field(name="WorkingDir", default="/")


class _Step(msgspec.Struct):
    created_by: str = ""
    empty_layer: bool = False


class _Configuration(msgspec.Struct):
    created: str
    architecture: str
    start: _Start = msgspec.field(name="config")
    history: list[_Step]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer; `size_bytes` is its tar archive's, `compressed_bytes` what a registry stores and sends."""

    created_by: str
    size_bytes: int
    compressed_bytes: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageArchive:
    """An image in a file. `id` is the digest of its configuration, without the algorithm's name."""

    file: Path
    id: str
    created: str
    architecture: str
    environment: Mapping[str, str]
    entry_point: tuple[str, ...]
    health_check: tuple[str, ...]
    user: str
    working_directory: str
    layer_names: tuple[str, ...]
    layer_origins: tuple[str, ...]

    def layers(self) -> Iterator[Layer]:
        """The layers from the lowest, measured."""
        with tarfile.open(self.file) as archive:
            for name, origin in zip(self.layer_names, self.layer_origins, strict=True):
                content = archive.extractfile(name)
                assert content is not None  # noqa: S101 - the manifest names regular files
                size_bytes, compressed_bytes = 0, 0
                compressor = zlib.compressobj(_COMPRESSION_LEVEL)
                while block := content.read(1 << 20):
                    size_bytes += len(block)
                    compressed_bytes += len(compressor.compress(block))
                compressed_bytes += len(compressor.flush())
                yield Layer(created_by=origin, size_bytes=size_bytes, compressed_bytes=compressed_bytes)

    def unpack(self, folder: Path) -> None:
        """Lay the files out below `folder`; owners are kept where the caller is root.

        Raises:
            ImageBuildError: a layer deletes what a lower one brought, so that it is still being shipped.
        """
        folder.mkdir(parents=True)
        with tarfile.open(self.file) as archive:
            for name in self.layer_names:
                with tarfile.open(fileobj=archive.extractfile(name)) as layer:
                    hidden = [member.name for member in layer if Path(member.name).name.startswith(".wh.")]
                    if hidden:
                        raise ImageBuildError(
                            f"{self.file}: a layer hides {', '.join(hidden)}: "
                            "leave it out of the layer below instead."
                        )
                    layer.extractall(folder, numeric_owner=True, filter="fully_trusted")  # noqa: S202 - our own build


def read(file: Path) -> ImageArchive:
    """Read what an archive says of its image, which must be its only one."""
    with tarfile.open(file) as archive:
        (manifest,) = msgspec.json.decode(_content(archive, "manifest.json"), type=list[_Manifest])
        configuration = msgspec.json.decode(_content(archive, manifest.configuration), type=_Configuration)
    start = configuration.start
    return ImageArchive(
        file=file,
        id=Path(manifest.configuration).stem,
        created=configuration.created,
        architecture=configuration.architecture,
        environment=dict(variable.partition("=")[::2] for variable in start.environment),
        entry_point=tuple(start.entry_point or ()),
        health_check=tuple(start.health_check.test if start.health_check else ()),
        user=start.user,
        working_directory=start.working_directory,
        layer_names=tuple(manifest.layers),
        layer_origins=tuple(step.created_by for step in configuration.history if not step.empty_layer),
    )


def _content(archive: tarfile.TarFile, name: str) -> bytes:
    content = archive.extractfile(name)
    assert content is not None  # noqa: S101 - the format's own files
    return content.read()
