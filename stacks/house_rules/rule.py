"""The words the house rules are written in: templates, resources, rules and what they object to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Properties: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One resource of a template, as CloudFormation will see it."""

    logical_id: str
    body: Properties

    @property
    def type(self) -> str:
        """The CloudFormation type, e.g. `AWS::S3::Bucket`."""
        return str(self.body["Type"])

    @property
    def properties(self) -> Properties:
        """Its properties, none if it has none."""
        properties: Properties = self.body.get("Properties", {})
        return properties

    def at(self, path: str) -> list[Any]:
        """Values at a dotted path, `None` where there is none; `[]` goes into every entry of a list."""
        found: list[Any] = [self.properties]
        for step in path.split("."):
            name = step.removesuffix("[]")
            found = [value.get(name) if isinstance(value, Mapping) else None for value in found]
            if step.endswith("[]"):
                found = [entry for value in found for entry in (value if isinstance(value, list) else [None])]
        return found


@dataclass(frozen=True, kw_only=True)
class Expectations:
    """What the rules need to know of an environment.

    `prefix` begins every name that AWS demands, `name` is the environment's, `protected` says whether data
    outlives its stack.
    """

    name: str
    prefix: str
    tags: Mapping[str, str]
    protected: bool


@dataclass(frozen=True, kw_only=True)
class Template:
    """One stack's resources by logical id, and what is expected of them."""

    stack: str
    resources: Mapping[str, Resource]
    expectations: Expectations

    def of_type(self, type_name: str) -> Iterator[Resource]:
        """The resources of one type."""
        return (resource for resource in self.resources.values() if resource.type == type_name)


@dataclass(frozen=True, kw_only=True)
class Objection:
    """What is wrong at a resource: the property, relative to the resource, and the value it has."""

    where: str
    value: object


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A demand on every resource, how to meet it, and the judge that says where it is not met."""

    name: str
    demand: str
    remedy: str
    judge: Callable[[Resource, Template], Iterator[Objection]]


@dataclass(frozen=True, kw_only=True)
class Violation:
    """A rule that one resource breaks."""

    rule: Rule
    resource: Resource
    stack: str
    objection: Objection

    @property
    def message(self) -> str:
        """Names the resource, the property, its value and the demand."""
        return (
            f"{self.stack}/{self.resource.logical_id} ({self.resource.type}): {self.objection.where} is "
            f"{self.objection.value!r}, but {self.rule.demand}."
        )


def refers(value: object) -> bool:
    """Whether a value is a reference to something that the app makes, and no text."""
    return isinstance(value, Mapping) and bool(value)
