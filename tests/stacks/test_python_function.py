"""What is in a function's asset: what it needs, and nothing else of the project."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.stacks.synthesis import Resource, Synthesis

HANDLER = re.compile(r"lambdas\.([a-z_]+)\.handler\.handler")
DATA = {
    "environments/flags.json",
    "environments/models/schema.json",
    "environments/route-sets/schema.json",
}
"""Files beside the code that functions read."""


def functions(synthesis: Synthesis) -> list[tuple[str, Resource]]:
    """The project's own functions by their folder; the CDK's are not ours."""
    found = []
    for resource in synthesis.resources("AWS::Lambda::Function"):
        if matched := HANDLER.fullmatch(str(resource.properties["Handler"])):
            found.append((matched[1], resource))
    return found


def asset_of(synthesis: Synthesis, function: Resource) -> Path:
    key: str = function.properties["Code"]["S3Key"]
    return synthesis.directory / f"asset.{key.removesuffix('.zip')}"


def contents(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def imported(source: Path) -> set[str]:
    """The modules of the project that a module imports, as files."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {module.replace(".", "/") + ".py" for module in modules if module.split(".")[0] == "lambdas"}


def test_there_are_functions(production: Synthesis) -> None:
    assert {"registry_guard", "operator_parameters"} <= {name for name, _function in functions(production)}


def test_an_asset_holds_the_function_what_it_shares_and_nothing_else(production: Synthesis) -> None:
    for name, function in functions(production):
        held = contents(asset_of(production, function))
        foreign = {
            path
            for path in held - DATA
            if not re.fullmatch(rf"lambdas/({name}/([a-z_]+/)*)?[a-z_]+\.(py|pem)", path)
        }
        assert f"lambdas/{name}/handler.py" in held, name
        assert not foreign, name


def test_what_a_function_imports_of_the_project_is_in_its_asset(production: Synthesis) -> None:
    for name, function in functions(production):
        asset = asset_of(production, function)
        held = contents(asset)
        project = Path(__file__).resolve().parents[2]
        for file in held:
            if file.endswith(".py"):
                wanted = {path for path in imported(asset / file) if (project / path).is_file()}
                assert wanted <= held, f"{name}: {file} imports what its asset lacks"


def test_an_asset_holds_no_shared_module_that_nothing_imports(production: Synthesis) -> None:
    for name, function in functions(production):
        asset = asset_of(production, function)
        used = {path for file in contents(asset) if file.endswith(".py") for path in imported(asset / file)}
        shared = {path for path in contents(asset) if re.fullmatch(r"lambdas/[a-z_]+\.py", path)}
        assert shared <= used, name


@pytest.mark.parametrize(("setting", "value"), [("Runtime", "python3.13"), ("Architectures", ["arm64"])])
def test_functions_run_what_the_project_is_tested_on(
    production: Synthesis, setting: str, value: object
) -> None:
    assert {name: function.properties[setting] for name, function in functions(production)} == {
        name: value for name, _function in functions(production)
    }
