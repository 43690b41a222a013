"""The house rules of the source tree: who may import whom, and what is pinned where."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
STANDARD_LIBRARY_AND_BOTO3_ONLY = "lambdas"

# package -> (folder, packages of this project it may import)
ALLOWED_IMPORTS = {
    "stacks": (ROOT / "stacks", {"stacks"}),
    "lambdas": (ROOT / "lambdas", {"lambdas"}),
    "gateway": (ROOT / "gateway_image" / "gateway", {"gateway"}),
    "local": (ROOT / "local", {"local", "stacks"}),
    "image_build": (ROOT / "image_build", {"image_build", "stacks"}),
    "capacity": (ROOT / "capacity", {"capacity", "stacks"}),
    "operations": (ROOT / "operations", {"operations", "stacks", "gateway", "local"}),
}
PROJECT_PACKAGES = {"stacks", "lambdas", "gateway", "local", "capacity", "image_build", "operations", "tests"}


_MIGRATIONS = {"alembic", "sqlalchemy"}
FROM_A_LAYER = {
    "lambdas/database_connection.py": {"pg8000"},
    "lambdas/flag_database/migration.py": _MIGRATIONS,
    "lambdas/flag_database/migrations/env.py": _MIGRATIONS,
    "lambdas/flag_database/migrations/versions/0001_flags.py": _MIGRATIONS,
}
"""What a layer of pure Python brings along where an environment has a flag database: neither Python nor boto3
speaks PostgreSQL. docs/decisions/flag-database.md."""


def modules_imported_by(source: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source}: relative import; name the package"
            names.add(node.module or "")
    return names


def sources(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*.py") if "__pycache__" not in path.parts]


@pytest.mark.parametrize("package", ALLOWED_IMPORTS)
def test_a_package_imports_no_other_package_of_the_project(package: str) -> None:
    folder, allowed = ALLOWED_IMPORTS[package]
    forbidden = PROJECT_PACKAGES - allowed
    assert sources(folder), f"{folder} holds no sources"
    violations = {
        f"{source.relative_to(ROOT)} imports {module}"
        for source in sources(folder)
        for module in modules_imported_by(source)
        if module.split(".")[0] in forbidden
    }
    assert not violations


@pytest.mark.parametrize("package", ["local", "capacity", "image_build", "operations"])
def test_what_reads_environments_knows_of_the_stacks_only_their_settings(package: str) -> None:
    imported = {
        module
        for source in sources(ROOT / package)
        for module in modules_imported_by(source)
        if module.split(".")[0] == "stacks"
    }
    assert imported == {"stacks.settings"}


def test_operators_go_by_the_gateways_rules_and_ask_the_embedded_cloud_only_how_to_reach_it() -> None:
    imported = {
        (source.name, module)
        for source in sources(ROOT / "operations")
        for module in modules_imported_by(source)
        if module.split(".")[0] in ("gateway", "local")
    }
    rules = {module for _, module in imported if module.startswith("gateway.")}
    assert {module for module in rules if not module.startswith("gateway.control.")} <= {
        "gateway.routing.policy"
    }
    # Who starts the embedded cloud keeps its address and credentials; nobody else should know in which file.
    assert {each for each in imported if each[1].startswith("local")} == {
        ("environment.py", "local.aws"),
        ("environment.py", "local.state"),
    }


def test_lambdas_need_only_the_standard_library_and_boto3() -> None:
    import sys

    allowed = set(sys.stdlib_module_names) | {"boto3", "botocore", "lambdas"}
    foreign = {
        f"{source.relative_to(ROOT)} imports {module}"
        for source in sources(ROOT / "lambdas")
        for module in modules_imported_by(source)
        if module.split(".")[0] not in allowed | FROM_A_LAYER.get(str(source.relative_to(ROOT)), set())
    }
    assert not foreign


def pins(requirements: Path) -> dict[str, str]:
    return dict(re.findall(r"^([A-Za-z0-9_.-]+)==([^\s\\;]+)", requirements.read_text(), re.MULTILINE))


@pytest.mark.parametrize("folder", ["", "gateway_image", "local"])
def test_every_requirement_is_pinned_and_carries_no_address(folder: str) -> None:
    text = (ROOT / folder / "requirements.txt").read_text()
    entries = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert entries
    assert all(re.match(r"^[A-Za-z0-9_.\[\]-]+==[^=]+$", entry.rstrip("\\ ")) for entry in entries)
    assert "://" not in text


def test_the_image_is_hash_locked_and_tested_with_the_versions_it_ships() -> None:
    image = ROOT / "gateway_image" / "requirements.txt"
    image_pins = pins(image)
    assert image.read_text().count("--hash=sha256:") >= len(image_pins)
    development_pins = pins(ROOT / "requirements.txt")
    assert image_pins.items() <= development_pins.items()


def test_the_cdk_command_line_is_pinned_without_download_addresses() -> None:
    assert '"aws-cdk": "2.1148.1"' in (ROOT / "package.json").read_text()
    assert "resolved" not in (ROOT / "package-lock.json").read_text()


def test_the_workflows_hold_no_long_lived_credentials() -> None:
    workflows = "".join(path.read_text() for path in (ROOT / ".github" / "workflows").glob("*.yml"))
    assert "role-to-assume" in workflows
    assert not re.search(r"aws-access-key-id|secrets\.", workflows)


@pytest.mark.parametrize("folder", sorted(path for path in (ROOT / "lambdas").iterdir() if path.is_dir()))
def test_a_function_imports_of_the_other_functions_nothing(folder: Path) -> None:
    others = {f"lambdas.{path.name}" for path in folder.parent.iterdir() if path.is_dir()}
    others -= {f"lambdas.{folder.name}"}
    violations = {
        f"{source.relative_to(ROOT)} imports {module}"
        for source in sources(folder)
        for module in modules_imported_by(source)
        if ".".join(module.split(".")[:2]) in others
    }
    assert not violations
