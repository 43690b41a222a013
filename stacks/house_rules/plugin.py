"""Runs the house rules over every template, in every synthesis, as a validation plugin of the CDK."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import aws_cdk as cdk
import jsii

from stacks.environment_stack import tags_of
from stacks.house_rules import encryption, exposure, identity, lifecycle
from stacks.house_rules.rule import Expectations, Properties, Resource, Rule, Template, Violation
from stacks.settings import Environment

RULES: Sequence[Rule] = (*encryption.RULES, *exposure.RULES, *identity.RULES, *lifecycle.RULES)

NAME = "House"
"""The first part of a finding's id: `House::own-key`."""


def violations(
    templates: Mapping[str, Properties], expectations: Expectations, rules: Sequence[Rule] = RULES
) -> Iterator[Violation]:
    """Everything the rules object to in `templates`, CloudFormation templates by the name of their stack."""
    for stack, body in templates.items():
        resources = {
            logical_id: Resource(logical_id=logical_id, body=resource)
            for logical_id, resource in body.get("Resources", {}).items()
        }
        template = Template(stack=stack, resources=resources, expectations=expectations)
        for resource in resources.values():
            for rule in rules:
                for objection in rule.judge(resource, template):
                    yield Violation(rule=rule, resource=resource, stack=stack, objection=objection)


def expectations_of(environment: Environment) -> Expectations:
    """What the rules need to know of an environment."""
    return Expectations(
        name=environment.name,
        prefix=environment.stack_prefix,
        tags=tags_of(environment),
        protected=environment.deployment.stateful_protection,
    )


@jsii.implements(cdk.IPolicyValidationPlugin)
class HouseRules:
    """The house rules for one environment."""

    def __init__(self, environment: Environment) -> None:
        self._expectations = expectations_of(environment)

    @property
    def name(self) -> str:
        """What findings are listed under."""
        return NAME

    @property
    def version(self) -> str | None:
        """Nothing but the sources has a version."""
        return None

    @property
    def rule_ids(self) -> list[str] | None:
        """The names of the rules."""
        return [rule.name for rule in RULES]

    def validate(self, context: cdk.IPolicyValidationContext) -> cdk.PolicyValidationPluginReport:
        """Judge the templates that were just written."""
        paths = {stack.stack_construct_path: stack.template_path for stack in context.stack_templates}
        templates = {stack: json.loads(Path(path).read_text()) for stack, path in paths.items()}
        found = list(violations(templates, self._expectations))
        return cdk.PolicyValidationPluginReport(
            success=not found,
            violations=[_reported(violation, paths[violation.stack]) for violation in found],
        )


def _reported(violation: Violation, template_path: str) -> cdk.PolicyViolation:
    return cdk.PolicyViolation(
        rule_name=violation.rule.name,
        description=f"{violation.message} {violation.rule.remedy}",
        fix=violation.rule.remedy,
        severity="error",
        violating_resources=[
            cdk.PolicyViolatingResource(
                resource_logical_id=violation.resource.logical_id,
                template_path=template_path,
                locations=[violation.objection.where],
            )
        ],
    )
