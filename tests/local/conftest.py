"""The embedded cloud, deployed once a test run."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.state import StateDirectory
from tests.local.embedded_cloud import embedded_cloud

__all__ = ["embedded_cloud"]


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    """An empty state directory."""
    return StateDirectory(tmp_path / "state")
