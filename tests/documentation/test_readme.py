"""The README's commands, run as they stand by someone who has only the sources."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from local import servers
from local.aws import known_account
from local.cloud import EmbeddedCloud
from local.image_tool import STORE_VARIABLE, write_launcher
from local.ports import Ports
from local.state import StateDirectory
from stacks.settings import load
from tests.local.embedded_cloud import isolated_environment

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
INSTALLED = ".venv", ".venv-emulator", "node_modules"
THIS_VERY_RUN = "make test"

pytestmark = pytest.mark.timeout(420)


@dataclass(frozen=True)
class Block:
    """One fenced block of the README: what runs it, and its text."""

    language: str
    text: str

    @property
    def environment(self) -> str | None:
        """The environment whose account the block needs."""
        found = re.search(r"^make (?:bootstrap|diff|deploy) ENV=(\w+)", self.text, re.MULTILINE)
        return found[1] if found else None


def blocks() -> list[Block]:
    fences = re.findall(r"^```(\w+)\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    return [Block(language, text) for language, text in fences]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tracked files in a folder of their own, with what `make setup` installs linked in."""
    folder = tmp_path_factory.mktemp("clone")
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    for name in filter(None, tracked.split("\0")):
        if (ROOT / name).is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)  # with its time: make would install again what is newer
    for name in INSTALLED:
        (folder / name).symlink_to(sys.prefix if name == ".venv" else ROOT / name)
    return folder


@pytest.fixture(scope="module")
def newcomer(clone: Path) -> Iterator[dict[str, str]]:
    """The environment variables of someone whose machine has nothing of ours; takes down what is left up."""
    variables = isolated_environment() | Ports.free().environment()
    yield variables
    subprocess.run(["make", "down"], cwd=clone, env=variables, check=True, capture_output=True, timeout=150)


@contextmanager
def account_of(environment: str, folder: Path) -> Iterator[dict[str, str]]:
    """An emulated account where the environment says its account is, and how the CDK reaches it."""
    place = load(ROOT / "environments" / f"{environment}.toml").deployment
    state, ports = StateDirectory(folder), Ports.free()
    try:
        servers.ensure_emulator(state, ports, place.account, place.region)
        account = known_account(state)
        assert account is not None
        yield account.environment() | {
            "CDK_DOCKER": str(write_launcher(folder / "bin" / "docker")),
            STORE_VARIABLE: str(state.images),
            "CDK_HOME": str(folder / "cdk"),
        }
    finally:
        EmbeddedCloud(state, ports, isolated_environment()).down()


def run(block: Block, clone: Path, variables: dict[str, str]) -> str:
    command = ["bash", "-euo", "pipefail", "-c", block.text]
    if block.language == "python":
        command = [str(clone / ".venv" / "bin" / "python"), "-c", block.text]
    finished = subprocess.run(
        command, cwd=clone, env=variables, capture_output=True, text=True, check=False, timeout=300
    )
    assert finished.returncode == 0, f"{block.text}\n{finished.stdout}\n{finished.stderr}"
    return finished.stdout


@pytest.mark.parametrize(
    "block",
    [block for block in blocks() if block.language in ("sh", "python")],
    ids=lambda block: block.text[:40],
)
def test_a_command_of_the_readme_works_as_it_stands(
    block: Block, clone: Path, newcomer: dict[str, str], tmp_path: Path
) -> None:
    if block.text.strip() == THIS_VERY_RUN:
        assert re.search(r"^test: setup", (clone / "Makefile").read_text(), re.MULTILINE)
        return
    if block.environment is None:
        output = run(block, clone, newcomer)
        assert output.strip()
        return
    with account_of(block.environment, tmp_path) as account:
        run(block, clone, newcomer | account | {"REQUIRE_APPROVAL": "never"})


def test_the_readme_speaks_to_its_four_readers_in_order() -> None:
    headings = re.findall(r"^## (.*)$", README.read_text(), re.MULTILINE)
    assert headings == [
        "Two commands",
        "What the first answer means",
        "For platform engineers: deploying to an account",
        "For SREs: changing capacity",
        "For SREs: what changes while it runs",
        "For application developers: calling it",
        "Where to read on",
    ]


@pytest.mark.parametrize("page", sorted([README, *(ROOT / "docs").rglob("*.md")]), ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    missing = [
        target
        for target in targets
        if "://" not in target and "<" not in target and not (page.parent / target).exists()
    ]
    assert not missing


def test_the_scaling_example_uses_the_real_keys_and_values_of_production() -> None:
    example = next(block.text for block in blocks() if block.language == "toml")
    production = (ROOT / "environments" / "production.toml").read_text()
    for line in example.splitlines():
        setting = line.split("#")[0].strip()
        if "=" in setting:
            assert re.search(rf"^{re.escape(setting)}\s*(#|$)", production, re.MULTILINE), setting


def test_the_costs_are_those_of_the_page_that_the_command_writes() -> None:
    marked = re.search(r"<!-- lines of docs/costs.md -->\n(.*?)<!-- end", README.read_text(), re.DOTALL)
    assert marked is not None
    page = (ROOT / "docs" / "costs.md").read_text().splitlines()
    lines = [line for line in marked[1].splitlines() if line]
    assert len(lines) == 6, "a header, a rule, three profiles, the date of the prices"
    assert [line for line in lines if line not in page] == [], "run `make documents`, then copy the lines"
