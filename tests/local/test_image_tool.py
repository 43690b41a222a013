"""The stand-in for `docker` answers the CDK command line as Docker would."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from local.image_store import ImageStore
from local.image_tool import NOT_FOUND, STORE_VARIABLE, main, write_launcher


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "Dockerfile").write_text('FROM scratch\nCOPY app.py /srv/\nCMD ["python", "/srv/app.py"]\n')
    (folder / "app.py").write_text("print('hello')\n")
    return folder


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ImageStore:
    monkeypatch.setenv(STORE_VARIABLE, str(tmp_path / "store"))
    return ImageStore(tmp_path / "store")


@pytest.mark.usefixtures("store")
def test_an_unknown_image_is_told_by_dockers_exit_status() -> None:
    assert main(["inspect", "cdkasset-1"]) == NOT_FOUND


def test_what_was_built_is_found_and_can_be_tagged(
    store: ImageStore, context: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(context)
    assert main(["build", "--tag", "cdkasset-1", "--platform", "linux/arm64", "."]) == 0
    assert main(["inspect", "cdkasset-1"]) == 0
    assert main(["tag", "cdkasset-1", "registry/assets:1"]) == 0
    assert store.image("registry/assets:1") == store.image("cdkasset-1")


@pytest.mark.usefixtures("store")
def test_a_failed_build_says_why(
    context: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (context / "app.py").unlink()
    monkeypatch.chdir(context)
    assert main(["build", "--tag", "cdkasset-1", "."]) == NOT_FOUND
    assert "COPY app.py" in capsys.readouterr().err


@pytest.mark.usefixtures("store")
def test_what_docker_could_do_beyond_that_is_refused() -> None:
    with pytest.raises(SystemExit):
        main(["run", "image"])


def test_the_launcher_runs_from_any_folder(tmp_path: Path) -> None:
    launcher = write_launcher(tmp_path / "bin/docker")
    environment = {STORE_VARIABLE: str(tmp_path / "store"), "PATH": "/usr/bin:/bin"}
    finished = subprocess.run(
        [str(launcher), "inspect", "cdkasset-1"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        check=False,
    )
    assert finished.returncode == NOT_FOUND
    assert b"no image cdkasset-1" in finished.stderr
