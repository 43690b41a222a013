"""The picture in the README shows what is deployed."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_picture_is_the_one_drawn_from_the_production_stacks(tmp_path: Path) -> None:
    assembly = tmp_path / "production"
    environment = {
        **os.environ,
        "ENVIRONMENT": "production",
        "CDK_OUTDIR": str(assembly),
        "CDK_VALIDATION": "false",
    }
    feature_flags = json.loads((ROOT / "cdk.json").read_text())["context"]
    environment["CDK_CONTEXT_JSON"] = json.dumps({**feature_flags, "environment": "production"})
    subprocess.run([sys.executable, "app.py"], cwd=ROOT, env=environment, check=True, capture_output=True)
    drawn = subprocess.run(
        [sys.executable, "docs/draw_architecture.py", assembly],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    committed = (ROOT / "docs" / "architecture.svg").read_text()
    assert drawn == committed, "docs/architecture.svg is out of date: run `make picture`"
