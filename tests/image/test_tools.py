"""Which tool builds, and what it is told: programs that only write down their arguments stand for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from image_build.errors import ImageBuildError
from image_build.tools import Build, Buildah, Docker, choose
from stacks.settings import Architecture

PINNED = "python@sha256:" + "0" * 64


class Programs:
    """A search path with nothing on it but what a test puts there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log = folder / "calls"

    def add(self, name: str, script: str = "") -> None:
        program = self.folder / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >> {self._log}\n{script}\n')
        program.chmod(0o755)

    def calls(self) -> list[str]:
        return self._log.read_text().splitlines() if self._log.exists() else []


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return Programs(folder)


def test_docker_is_preferred_where_its_engine_answers(programs: Programs, tmp_path: Path) -> None:
    programs.add("docker")
    programs.add("buildah")
    assert isinstance(choose(None, tmp_path), Docker)
    assert isinstance(choose("buildah", tmp_path), Buildah)


def test_without_an_engine_buildah_is_taken(programs: Programs, tmp_path: Path) -> None:
    programs.add("docker", "exit 1")
    programs.add("buildah")
    assert isinstance(choose(None, tmp_path), Buildah)


def test_without_both_the_remedy_is_told(programs: Programs, tmp_path: Path) -> None:
    assert programs.calls() == []
    with pytest.raises(ImageBuildError, match=r"docker or buildah.*apt-get install buildah"):
        choose(None, tmp_path)


def test_docker_builds_for_the_platform_on_the_base_and_saves_an_archive(
    programs: Programs, tmp_path: Path
) -> None:
    programs.add("docker")
    build = Build(context=Path("gateway_image"), architecture=Architecture.ARM64, base=PINNED)
    Docker().build(build, tmp_path / "gateway.tar")
    built, saved = programs.calls()
    assert built.startswith("docker build --platform linux/arm64 --tag ai-orchestration/gateway:arm64 ")
    assert f"--build-arg PYTHON_IMAGE={PINNED}" in built
    assert saved == f"docker save --output {tmp_path}/gateway.tar ai-orchestration/gateway:arm64"


def test_buildah_needs_neither_daemon_nor_namespaces_and_keeps_the_health_check(
    programs: Programs, tmp_path: Path
) -> None:
    programs.add("buildah")
    build = Build(context=Path("gateway_image"), architecture=Architecture.X86_64, base=None)
    Buildah(tmp_path / "storage").build(build, tmp_path / "gateway.tar")
    (built,) = [call for call in programs.calls() if " build " in call]
    assert "--isolation chroot --format docker" in built
    assert "--platform linux/amd64" in built
    assert f"--root {tmp_path}/storage" in built
    assert "PYTHON_IMAGE" not in built


def test_a_failing_tool_is_quoted(programs: Programs, tmp_path: Path) -> None:
    programs.add("docker", "echo 'no space left' >&2; exit 3")
    build = Build(context=Path("gateway_image"), architecture=Architecture.ARM64, base=None)
    with pytest.raises(ImageBuildError, match=r"docker build .* ended with 3:\nno space left"):
        Docker().build(build, tmp_path / "gateway.tar")
