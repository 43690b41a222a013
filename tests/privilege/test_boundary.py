"""The permissions boundary and the bootstrap qualifier reach everything they must."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from stacks.settings import Environment, load
from stacks.settings_command import main
from tests.stacks.synthesis import ENVIRONMENTS, ROOT, Synthesis, load_environment, synthesise

BOUNDARY = "platform/ai-boundary"
QUALIFIER = "aigateway"


def changed(**deployment: str) -> Environment:
    environment = load_environment("production")
    return environment.model_copy(update={"deployment": environment.deployment.model_copy(update=deployment)})


@pytest.fixture(scope="module")
def bounded(tmp_path_factory: pytest.TempPathFactory) -> Synthesis:
    """Production with both settings."""
    return synthesise(
        changed(permissions_boundary=BOUNDARY, bootstrap_qualifier=QUALIFIER),
        tmp_path_factory.mktemp("bounded") / "out",
    )


def test_every_role_has_the_boundary(bounded: Synthesis) -> None:
    roles = bounded.resources("AWS::IAM::Role")
    assert len(roles) >= 4
    boundary = f"arn:aws:iam::{bounded.environment.deployment.account}:policy/{BOUNDARY}"
    assert [role.name for role in roles if role.properties.get("PermissionsBoundary") != boundary] == []


def test_there_is_none_where_none_is_set(production: Synthesis) -> None:
    roles = production.resources("AWS::IAM::Role")
    assert [role.name for role in roles if "PermissionsBoundary" in role.properties] == []


def test_every_stack_uses_the_qualified_bootstrap(bounded: Synthesis) -> None:
    for stack, artifact in bounded.manifest["stacks"].items():
        properties = artifact["properties"]
        assert f"/cdk-{QUALIFIER}-deploy-role-" in properties["assumeRoleArn"], stack
        assert properties["bootstrapStackVersionSsmParameter"] == f"/cdk-bootstrap/{QUALIFIER}/version", stack
    assert [file for file in sorted(bounded.directory.iterdir()) if "hnb659fds" in _text(file)] == []


def _text(file: Path) -> str:
    return file.read_text() if file.suffix == ".json" else ""


def test_make_bootstrap_passes_both_on(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    text = (ENVIRONMENTS / "production.toml").read_text()
    spoilt = text.replace(
        "[tags]", f'permissions_boundary = "{BOUNDARY}"\nbootstrap_qualifier = "{QUALIFIER}"\n\n[tags]'
    )
    for folder in ("guardrails", "route-sets"):
        (tmp_path / folder).symlink_to(ENVIRONMENTS / folder)
    (tmp_path / "production.toml").write_text(spoilt)
    assert main(["bootstrap", "production", "--folder", str(tmp_path)]) == 0
    account = load(tmp_path / "production.toml").deployment.account
    assert capsys.readouterr().out.split() == [
        f"aws://{account}/eu-central-1",
        f"--qualifier={QUALIFIER}",
        f"--toolkit-stack-name=CDKToolkit-{QUALIFIER}",
        f"--custom-permissions-boundary={BOUNDARY}",
        "--apply-permissions-boundary-to-all-roles",
    ]


def test_make_bootstrap_runs_with_them() -> None:
    shown = subprocess.run(
        ["make", "--dry-run", "bootstrap", "ENV=production", f"PYTHON={sys.executable}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    ).stdout
    assert "stacks.settings bootstrap production" in shown
    assert "cdk bootstrap $arguments" in shown


@pytest.mark.parametrize(
    ("setting", "value"),
    [("bootstrap_qualifier", '"Too-Long-And-Upper"'), ("permissions_boundary", '"arn:aws:iam::1:policy/x"')],
)
def test_what_aws_would_refuse_is_refused_with_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], setting: str, value: str
) -> None:
    text = (ENVIRONMENTS / "local.toml").read_text().replace("[tags]", f"{setting} = {value}\n\n[tags]")
    (tmp_path / "local.toml").write_text(text)
    for folder in ("guardrails", "route-sets"):
        (tmp_path / folder).symlink_to(ENVIRONMENTS / folder)
    assert main(["bootstrap", "local", "--folder", str(tmp_path)]) == 1
    assert f"deployment.{setting}" in capsys.readouterr().err
