"""A container starts as its image and its task definition say, and knows nothing else."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from local.container import assemble
from local.image_store import Image
from local.task_definition import HealthCheck, Task, TaskError

TASK = Task(
    definition_arn="arn:task:1",
    container="gateway",
    image="registry/gateway:1",
    entry_point=(),
    command=(),
    working_directory=None,
    environment={"LOG_LEVEL": "INFO", "PORT": "8080"},
    secrets={},
    role_arn="",
    stop_timeout_s=30,
    health_check=None,
)


@pytest.fixture
def image(tmp_path: Path) -> Image:
    (tmp_path / "srv").mkdir()
    environment = {"PATH": "/opt/gateway/bin:$PATH", "PYTHONPATH": "/srv:/missing", "LOG_LEVEL": "DEBUG"}
    return Image("id", tmp_path, "/srv", environment, ("python", "-m", "gateway"), ("serve",))


def test_the_images_start_is_used_where_the_definition_names_none(image: Image) -> None:
    container = assemble(TASK, image, "eu-central-1", {})
    assert container.command[1:] == ("-m", "gateway", "serve")
    assert container.directory == image.files / "srv"


def test_python_is_the_projects_own(image: Image) -> None:
    expected = str(Path(sys.executable).parent / "python")
    assert assemble(TASK, image, "eu-central-1", {}).command[0] == expected
    absolute = replace(TASK, entry_point=("/opt/gateway/bin/python", "-V"))
    assert assemble(absolute, image, "eu-central-1", {}).command == (expected, "-V")


def test_the_definition_overrules_the_image(image: Image) -> None:
    command_only = assemble(replace(TASK, command=("health",)), image, "eu-central-1", {})
    assert command_only.command[1:] == ("-m", "gateway", "health")
    entry_point_only = assemble(replace(TASK, entry_point=("/bin/echo",)), image, "eu-central-1", {})
    assert entry_point_only.command == ("/bin/echo",)


def test_what_is_given_overrules_the_definition_and_that_the_image(image: Image) -> None:
    environment = assemble(TASK, image, "eu-central-1", {"PORT": "9000"}).environment
    assert environment["PORT"] == "9000"
    assert environment["LOG_LEVEL"] == "INFO"
    assert environment["AWS_REGION"] == "eu-central-1"


def test_paths_of_the_image_are_translated(image: Image) -> None:
    environment = assemble(TASK, image, "eu-central-1", {}).environment
    assert environment["PYTHONPATH"] == f"{image.files / 'srv'}:/missing"
    assert "/opt/gateway/bin" not in environment["PATH"]


def test_a_path_that_only_a_run_made_is_left_out(image: Image) -> None:
    made = replace(image, environment={"CERTIFICATES": "/made/by/run.crt", "FLAG": "1"})
    environment = assemble(TASK, made, "eu-central-1", {}).environment
    assert "CERTIFICATES" not in environment
    assert environment["FLAG"] == "1"


def test_nothing_of_the_callers_environment_gets_in(image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "personal")
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    environment = assemble(TASK, image, "eu-central-1", {}).environment
    assert not {"AWS_PROFILE", "OPENAI_API_KEY", "HOME"} & set(environment)
    assert environment["AWS_SHARED_CREDENTIALS_FILE"] == "/dev/null"


def test_an_image_without_a_start_is_refused(image: Image) -> None:
    with pytest.raises(TaskError, match="ENTRYPOINT"):
        assemble(TASK, replace(image, entry_point=(), command=()), "eu-central-1", {})


@pytest.mark.parametrize(
    ("command", "healthy"),
    [
        (("CMD", "python", "-c", "import os; assert os.environ['PORT'] == '8080'"), True),
        (("CMD", "python", "-c", "raise SystemExit(1)"), False),
        (("CMD-SHELL", "test $PORT = 8080 && true"), True),
        (("CMD-SHELL", "exit 1"), False),
        (("CMD-SHELL", "sleep 5"), False),
    ],
)
def test_the_health_check_runs_inside_the_container(
    image: Image, command: tuple[str, ...], healthy: bool
) -> None:
    container = assemble(TASK, image, "eu-central-1", {})
    assert container.is_healthy(HealthCheck(command, timeout_s=1)) is healthy
