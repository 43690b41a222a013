"""The synthesised environments and the embedded cloud, shared with the other folders."""

from __future__ import annotations

from tests.local.embedded_cloud import embedded_cloud
from tests.stacks.conftest import every_environment, production, synthesised

__all__ = ["embedded_cloud", "every_environment", "production", "synthesised"]
