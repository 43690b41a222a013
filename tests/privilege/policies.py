"""Every policy statement of a synthesised environment, whatever kind of policy it stands in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.stacks.synthesis import Resource, Synthesis

ROLE_POLICIES = ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::Role", "AWS::IAM::RolePolicy")
_TRUST = "AssumeRolePolicyDocument"


@dataclass(frozen=True)
class Statement:
    """One statement and the resource that carries it."""

    resource: Resource
    body: dict[str, Any]

    @property
    def allows(self) -> bool:
        return bool(self.body["Effect"] == "Allow")

    @property
    def of_a_role(self) -> bool:
        """Whether it gives a role permissions; else it speaks of the resource that carries it."""
        return self.resource.type in ROLE_POLICIES

    @property
    def actions(self) -> list[str]:
        return as_list(self.body["Action"])

    @property
    def resources(self) -> list[Any]:
        return as_list(self.body.get("Resource", []))

    @property
    def name(self) -> str:
        """What a failing test should print."""
        return f"{self.resource.name} {self.body.get('Sid', '')}: {', '.join(self.actions)}"


def statements(synthesis: Synthesis) -> list[Statement]:
    """Every statement that allows or denies something: of roles, keys, buckets, topics, endpoints, secrets.

    Left out is who may assume a role.
    """
    return [
        Statement(resource, body)
        for resource in synthesis.resources()
        for document in _documents(resource.properties)
        for body in as_list(document["Statement"])
    ]


def trusts(synthesis: Synthesis) -> list[Statement]:
    """Who may assume which role."""
    return [
        Statement(resource, body)
        for resource in synthesis.resources("AWS::IAM::Role")
        for body in resource.properties[_TRUST]["Statement"]
    ]


def as_list(value: Any) -> list[Any]:  # noqa: ANN401 - JSON
    return value if isinstance(value, list) else [value]


def _documents(value: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - JSON
    text = _text(value)
    if text.startswith("{") and '"Statement"' in text:
        yield from _documents(json.loads(text))
    elif isinstance(value, dict):
        if all("Effect" in body for body in as_list(value.get("Statement", {}))):
            yield value  # the rules of a web firewall have statements, too, without an effect
        for key, inner in value.items():
            if key != _TRUST:
                yield from _documents(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _documents(inner)


def _text(value: Any) -> str:  # noqa: ANN401 - JSON
    """A text, also one joined of texts and references, which then have a name each but no wildcard."""
    if isinstance(value, dict) and list(value) == ["Fn::Join"]:
        return "".join(part if isinstance(part, str) else "(reference)" for part in value["Fn::Join"][1])
    return value if isinstance(value, str) else ""
