"""The runbook's commands and the whole command line, against the embedded cloud."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from gateway.control.registry import Lifecycle, item_to_fields
from gateway.control.stored_items import to_stored
from local.state import DIRECTORY_VARIABLE
from tests.local.embedded_cloud import RunningCloud, isolated_environment
from tests.operations.test_registry import SONNET, changed
from tests.privilege.holders import admin, outputs

ROOT = Path(__file__).resolve().parents[2]
RUNBOOK = ROOT / "docs" / "runbooks" / "control-plane.md"
NEW_VERSION = "2026-12-01"

pytestmark = pytest.mark.timeout(300)


def blocks() -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```$", RUNBOOK.read_text(), re.MULTILINE | re.DOTALL)


def targets(text: str) -> set[str]:
    return set(re.findall(r"\bmake ([a-z][a-z-]*)", text))


@pytest.fixture(scope="module")
def operator(embedded_cloud: RunningCloud) -> Iterator[dict[str, str]]:
    """The operator's shell, which knows of the embedded cloud alone, and a draft to promote.

    The client keys end as they were: other tests call the gateway with them.
    """
    draft = changed(SONNET, version=NEW_VERSION, lifecycle=Lifecycle.DRAFT)
    fields = to_stored(item_to_fields(draft))
    admin(embedded_cloud, "dynamodb").put_item(TableName="ai_model_registry", Item=fields)
    arn = outputs(embedded_cloud, "secrets")["ClientKeysSecretArn"]
    secrets = admin(embedded_cloud, "secretsmanager")
    keys = secrets.get_secret_value(SecretId=arn)["SecretString"]
    yield isolated_environment() | {DIRECTORY_VARIABLE: str(embedded_cloud.state.root)}
    secrets.put_secret_value(SecretId=arn, SecretString=keys)


@pytest.fixture(scope="module")
def proposed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    text = (ROOT / "environments" / "route-sets" / "default.toml").read_text()
    file = tmp_path_factory.mktemp("proposed") / "proposed.toml"
    file.write_text(text.replace('version = "2026-11-01"', f'version = "{NEW_VERSION}"', 1))
    return file


def run(command: str, variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=ROOT, env=dict(variables), capture_output=True, text=True, check=False, timeout=60,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.parametrize("block", blocks(), ids=lambda block: block.splitlines()[0][:40])
def test_a_block_of_the_runbook_works_as_it_stands(
    block: str, operator: Mapping[str, str], proposed: Path
) -> None:
    text = block.replace("ENV=production", "ENV=local").replace("/tmp/proposed.toml", str(proposed))
    for command in text.splitlines():
        ended = run(command, operator)
        assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"
        assert ended.stdout.strip(), command


def test_the_runbook_shows_every_command_there_is() -> None:
    makefile = (ROOT / "Makefile").read_text()
    rules = re.findall(r"^([a-z -]+): setup ##.*\n\t@\$\(OPERATE\)", makefile, re.MULTILINE)
    declared = {name for rule in rules for name in rule.split()}
    assert declared >= {"kill", "revive", "audit", "registry-check"}
    assert declared - targets("\n".join(blocks())) == {"retire"}, "the end, of which the text alone speaks"
