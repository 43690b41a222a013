"""The environment's `gateway.architecture` decides what is built; tests/stacks holds image and task to it."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from image_build import architecture as architectures
from image_build.__main__ import main
from image_build.errors import ImageBuildError
from image_build.tools import Build
from stacks.settings import Architecture, environment_names, load

ENVIRONMENTS = Path(__file__).parents[2] / "environments"


@pytest.mark.parametrize("name", environment_names(ENVIRONMENTS))
def test_the_image_is_built_for_the_cpu_the_environment_runs_on(name: str) -> None:
    wanted = load(ENVIRONMENTS / f"{name}.toml").gateway.architecture
    assert architectures.chosen(None, name) is wanted


@pytest.mark.parametrize(
    ("architecture", "platform_name"),
    [(Architecture.ARM64, "linux/arm64"), (Architecture.X86_64, "linux/amd64")],
)
def test_the_tool_is_told_the_platform(architecture: Architecture, platform_name: str) -> None:
    words = Build(context=Path("gateway_image"), architecture=architecture, base=None).arguments()
    assert words[words.index("--platform") + 1] == platform_name
    assert words[-1] == "gateway_image"


@pytest.mark.parametrize("machine", ["aarch64", "x86_64"])
def test_another_cpu_is_refused_with_the_remedy_unless_the_kernel_emulates_it(
    machine: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    own = architectures.of_this_machine()
    (other,) = set(Architecture) - {own}
    architectures.require_runnable(own, tmp_path)
    with pytest.raises(
        ImageBuildError, match=f"is to be for {other}, this machine is {own}.*qemu-user-static"
    ):
        architectures.require_runnable(other, tmp_path)
    for emulator in ("qemu-aarch64", "qemu-x86_64"):
        (tmp_path / emulator).touch()
    architectures.require_runnable(other, tmp_path)


def test_an_unknown_cpu_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(ImageBuildError, match="riscv64"):
        architectures.of_this_machine()


def test_the_command_says_what_is_wrong_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--architecture", "native", "--base", "python:3.13"]) == 1
    assert capsys.readouterr().err.startswith("make image: The base 'python:3.13' is not pinned")
