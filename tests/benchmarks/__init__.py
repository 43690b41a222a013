"""Measurements. They import the gateway from where the container image has it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "gateway_image"))
