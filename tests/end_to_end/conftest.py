"""The embedded cloud, deployed once a test run."""

from __future__ import annotations

from tests.local.embedded_cloud import embedded_cloud

__all__ = ["embedded_cloud"]
