"""Image archives are read as docker and buildah write them."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from image_build.archive import read
from image_build.errors import ImageBuildError


def tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def archive_of(folder: Path, *layers: dict[str, bytes]) -> Path:
    names = [f"{number}.tar" for number in range(len(layers))]
    configuration = {
        "created": "2026-11-21T00:00:00Z",
        "architecture": "arm64",
        "config": {"User": "65532:65532", "Env": ["PATH=/opt/gateway/bin"], "Entrypoint": ["python"]},
        "history": [
            {"created_by": "ENV", "empty_layer": True},
            *({"created_by": f"COPY {n}"} for n in names),
        ],
    }
    manifest = [{"Config": "abc.json", "RepoTags": None, "Layers": names}]
    files = {"manifest.json": json.dumps(manifest).encode(), "abc.json": json.dumps(configuration).encode()}
    file = folder / "image.tar"
    file.write_bytes(tar(files | {name: tar(layer) for name, layer in zip(names, layers, strict=True)}))
    return file


def test_it_says_how_the_image_starts_and_what_each_layer_weighs(tmp_path: Path) -> None:
    image = read(archive_of(tmp_path, {"a": b"x" * 50_000}, {"b": b"y"}))
    assert (image.id, image.architecture, image.user) == ("abc", "arm64", "65532:65532")
    assert image.environment == {"PATH": "/opt/gateway/bin"}
    assert image.health_check == ()
    first, second = image.layers()
    assert first.created_by == "COPY 0.tar"
    assert first.size_bytes > 50_000 > first.compressed_bytes
    assert second.size_bytes >= 1024


def test_later_layers_lie_over_earlier_ones(tmp_path: Path) -> None:
    image = read(archive_of(tmp_path, {"a": b"old", "b": b"kept"}, {"a": b"new"}))
    image.unpack(tmp_path / "root")
    assert (tmp_path / "root/a").read_bytes() == b"new"
    assert (tmp_path / "root/b").read_bytes() == b"kept"


def test_a_layer_that_only_hides_a_file_is_refused(tmp_path: Path) -> None:
    image = read(archive_of(tmp_path, {"usr/bin/gcc": b"compiler"}, {"usr/bin/.wh.gcc": b""}))
    with pytest.raises(ImageBuildError, match=r"a layer hides usr/bin/.wh.gcc"):
        image.unpack(tmp_path / "root")
