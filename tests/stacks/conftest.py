"""Every environment is synthesised once a run, when a test first asks for it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

# The CDK runs the first `node` on the path: the one installed beside Python, as under make.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

from tests.stacks.synthesis import ENVIRONMENT_NAMES, Synthesis, load_environment, synthesise


@pytest.fixture(scope="session")
def synthesised(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Synthesis]:
    """Gives an environment's templates by its name."""

    def once(name: str) -> Synthesis:
        if name not in _SYNTHESISED:
            directory = tmp_path_factory.mktemp("assemblies") / name
            _SYNTHESISED[name] = synthesise(load_environment(name), directory)
        return _SYNTHESISED[name]

    return once


_SYNTHESISED: dict[str, Synthesis] = {}
"""Shared by every folder whose conftest takes these fixtures over."""


@pytest.fixture(scope="session")
def production(synthesised: Callable[[str], Synthesis]) -> Synthesis:
    return synthesised("production")


@pytest.fixture(scope="session")
def development(synthesised: Callable[[str], Synthesis]) -> Synthesis:
    return synthesised("development")


@pytest.fixture(scope="session", params=ENVIRONMENT_NAMES)
def every_environment(request: pytest.FixtureRequest, synthesised: Callable[[str], Synthesis]) -> Synthesis:
    return synthesised(request.param)
