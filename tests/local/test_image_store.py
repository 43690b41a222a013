"""An image holds what its Dockerfile copies, and says how its process starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.dockerfile import DockerfileError
from local.image_store import Image, ImageError, ImageStore

DOCKERFILE = """\
# syntax=docker/dockerfile:1
ARG BASE=python:3.13-slim
FROM ${BASE} AS dependencies
WORKDIR /build
COPY requirements.txt .
RUN pip install -r requirements.txt \\
    && rm -rf /tmp/*

FROM ${BASE}
ENV PATH=/opt/bin:$PATH \\
    GREETING="good day"
COPY --from=dependencies /opt/bin /opt/bin
COPY --from=dependencies /build/requirements.txt /srv/
WORKDIR /srv
COPY gateway gateway
COPY ["settings.toml", "renamed.toml"]
USER 65532
ENTRYPOINT ["python", "-m", "gateway"]
CMD ["serve"]
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    (folder / "gateway/deep").mkdir(parents=True)
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / "requirements.txt").write_text("nothing\n")
    (folder / "settings.toml").write_text("a = 1\n")
    (folder / "gateway/__main__.py").write_text("print('hello')\n")
    (folder / "gateway/deep/module.py").write_text("")
    (folder / "not-copied.txt").write_text("")
    return folder


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "store")


def files(image: Image) -> set[str]:
    return {str(file.relative_to(image.files)) for file in image.files.rglob("*") if file.is_file()}


def test_an_image_holds_exactly_what_its_last_stage_copies(store: ImageStore, context: Path) -> None:
    image = store.build(context, "gateway:1")
    assert files(image) == {
        "srv/gateway/__main__.py",
        "srv/gateway/deep/module.py",
        "srv/renamed.toml",
        "srv/requirements.txt",
    }


def test_an_image_says_how_its_process_starts(store: ImageStore, context: Path) -> None:
    image = store.build(context, "gateway:1")
    assert image.entry_point == ("python", "-m", "gateway")
    assert image.command == ("serve",)
    assert image.working_directory == "/srv"
    assert image.environment["GREETING"] == "good day"


def test_the_same_content_is_the_same_image_and_other_content_another(
    store: ImageStore, context: Path
) -> None:
    first = store.build(context, "gateway:1")
    again = store.build(context, "gateway:2")
    (context / "gateway/__main__.py").write_text("print('changed')\n")
    changed = store.build(context, "gateway:3")
    assert first.id == again.id != changed.id


def test_an_image_does_not_change_with_its_context(store: ImageStore, context: Path) -> None:
    image = store.build(context, "gateway:1")
    (context / "gateway/__main__.py").write_text("print('changed')\n")
    assert (image.files / "srv/gateway/__main__.py").read_text() == "print('hello')\n"


def test_a_tag_is_another_name_of_the_image(store: ImageStore, context: Path) -> None:
    image = store.build(context, "asset")
    store.tag("asset", "registry/repository:tag")
    assert store.image("registry/repository:tag") == image


def test_an_unknown_image_is_an_error_that_names_it(store: ImageStore) -> None:
    with pytest.raises(ImageError, match="no image registry/repository:tag"):
        store.image("registry/repository:tag")


def test_a_copy_of_what_is_not_there_fails_the_build(store: ImageStore, context: Path) -> None:
    (context / "settings.toml").unlink()
    with pytest.raises(ImageError, match=r"COPY settings\.toml"):
        store.build(context, "gateway:1")


def test_an_instruction_that_is_not_followed_fails_the_build(store: ImageStore, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM scratch\nONBUILD COPY . .\n")
    with pytest.raises(DockerfileError, match="ONBUILD"):
        store.build(context, "gateway:1")


def test_a_shell_form_command_runs_in_a_shell(store: ImageStore, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM scratch\nCMD python -m gateway\n")
    assert store.build(context, "gateway:1").command == ("/bin/sh", "-c", "python -m gateway")
