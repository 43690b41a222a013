"""The synthesised environments and the embedded cloud, shared with the other folders."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stacks.settings_release import ReleaseStrategy
from tests.local.embedded_cloud import embedded_cloud
from tests.stacks.conftest import every_environment, production, synthesised
from tests.stacks.synthesis import ENVIRONMENT_NAMES, Synthesis, load_environment, synthesise

__all__ = ["embedded_cloud", "every_environment", "production", "synthesised"]

SHIFTING = "production that shifts traffic"


@pytest.fixture(scope="session")
def variant(
    synthesised: Callable[[str], Synthesis], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Synthesis]:
    """Gives an environment by its name, or production with the release strategy that needs most roles."""
    found: dict[str, Synthesis] = {}

    def once(name: str) -> Synthesis:
        if name != SHIFTING:
            return synthesised(name)
        if name not in found:
            settings = load_environment("production")
            release = settings.release.model_copy(update={"strategy": ReleaseStrategy.CANARY})
            directory = tmp_path_factory.mktemp("shifting") / "out"
            found[name] = synthesise(settings.model_copy(update={"release": release}), directory)
        return found[name]

    return once


@pytest.fixture(scope="session", params=[*ENVIRONMENT_NAMES, SHIFTING])
def every_variant(request: pytest.FixtureRequest, variant: Callable[[str], Synthesis]) -> Synthesis:
    """Every environment, and what the release strategies add."""
    return variant(request.param)
