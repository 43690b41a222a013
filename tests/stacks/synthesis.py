"""Synthesis for tests: an environment's templates as plain data, without validation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aws_cdk as cdk

from stacks.application import Application, build, repeatable_app
from stacks.declared_models import load_models
from stacks.route_set import load_route_set
from stacks.settings import Environment, load

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ROOT / "environments"
ENVIRONMENT_NAMES = ("local", "development", "staging", "production")

Properties = dict[str, Any]


@dataclass(frozen=True)
class Resource:
    """One resource of a template."""

    stack: str
    logical_id: str
    body: Mapping[str, Any]

    @property
    def type(self) -> str:
        return str(self.body["Type"])

    @property
    def properties(self) -> Properties:
        properties: Properties = self.body.get("Properties", {})
        return properties

    @property
    def name(self) -> str:
        """What a failing test should print."""
        return f"{self.stack}/{self.logical_id}"


@dataclass(frozen=True)
class Synthesis:
    """One synthesised environment: `templates` and `manifest` artifacts by the construct id of the stack."""

    environment: Environment
    directory: Path
    templates: Mapping[str, Mapping[str, Any]]
    manifest: Mapping[str, Any]

    def resources(self, type_name: str | None = None, stack: str | None = None) -> list[Resource]:
        """The resources of one type or of all, of one stack or of all."""
        return [
            resource
            for resource in self._all()
            if type_name in (None, resource.type) and stack in (None, resource.stack)
        ]

    def only(self, type_name: str, stack: str | None = None) -> Properties:
        """The properties of the one resource of a type."""
        found = self.resources(type_name, stack)
        assert len(found) == 1, f"{len(found)} resources of {type_name}: {[one.name for one in found]}"
        return found[0].properties

    def _all(self) -> Iterator[Resource]:
        for stack, template in self.templates.items():
            for logical_id, body in template["Resources"].items():
                yield Resource(stack, logical_id, body)


def new_app(directory: Path, *, validated: bool = False, **context: object) -> cdk.App:
    """An app as the CDK CLI would start it; without the built-in validation unless `validated`."""
    settings = json.loads((ROOT / "cdk.json").read_text())["context"]
    context = {**settings, "aws:cdk:enable-path-metadata": True, **context}
    return repeatable_app(context=context, outdir=str(directory), validated=validated)


def build_environment(app: cdk.App, environment: Environment) -> Application:
    """Everything `app.py` builds for an environment."""
    models = load_models(ENVIRONMENTS / "models")
    route_set = load_route_set(
        ENVIRONMENTS / "route-sets" / f"{environment.routing.route_set}.toml",
        declared=models,
        enabled_providers=environment.enabled_providers,
        eu_only=environment.deployment.eu_only,
    )
    return build(app, environment=environment, models=models, route_set=route_set)


def synthesise(environment: Environment, directory: Path) -> Synthesis:
    """Build and synthesise an environment."""
    app = new_app(directory)
    build_environment(app, environment)
    app.synth()
    manifest = json.loads((directory / "manifest.json").read_text())
    stacks = {
        name: artifact
        for name, artifact in manifest["artifacts"].items()
        if artifact["type"] == "aws:cloudformation:stack"
    }
    templates = {
        name: json.loads((directory / artifact["properties"]["templateFile"]).read_text())
        for name, artifact in stacks.items()
    }
    return Synthesis(environment, directory, templates, {**manifest, "stacks": stacks})


def load_environment(name: str) -> Environment:
    """A declared environment."""
    return load(ENVIRONMENTS / f"{name}.toml")
