"""Values that operators own: no template holds them as its own, and one function may declare just them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.stacks.synthesis import Resource, Synthesis

STACKS = {"FeatureFlags": "Flags", "ModelRegistry": "RouteSet"}


def declaration(synthesis: Synthesis, stack: str) -> Resource:
    (found,) = (
        resource
        for resource in synthesis.resources("AWS::CloudFormation::CustomResource", stack)
        if "Parameters" in resource.properties
    )
    return found


def statements(synthesis: Synthesis, stack: str) -> dict[str, dict[str, Any]]:
    (policy,) = (
        resource.properties
        for resource in synthesis.resources("AWS::IAM::Policy", stack)
        if resource.logical_id.startswith(STACKS[stack])
    )
    return {statement["Sid"]: statement for statement in policy["PolicyDocument"]["Statement"]}


def test_no_template_owns_a_value_that_operators_set(every_environment: Synthesis) -> None:
    """CloudFormation writes the declared value with every change of such a resource, of a tag even."""
    assert every_environment.resources("AWS::SSM::Parameter") == []


@pytest.mark.parametrize("stack", STACKS)
def test_every_change_that_a_parameter_shows_is_handed_over(every_environment: Synthesis, stack: str) -> None:
    environment = every_environment.environment
    properties = declaration(every_environment, stack).properties
    assert properties["Kept"] == ("true" if environment.deployment.stateful_protection else "false")
    assert json.loads(properties["Tags"]) == {
        "owner": environment.tags.owner,
        "service": environment.tags.service,
        "environment": environment.name,
        "cost-centre": environment.tags.cost_centre,
    }
    assert properties["ServiceTimeout"] == 300
    subjects = {each.get("AuditSubject") for each in json.loads(properties["Parameters"])}
    assert (subjects, "AuditTable" in properties) == (
        ({"route-set"}, True) if stack == "ModelRegistry" else ({None}, False)
    )


@pytest.mark.parametrize("stack", STACKS)
def test_the_function_may_declare_its_parameters_and_nothing_else(
    every_environment: Synthesis, stack: str
) -> None:
    found = statements(every_environment, stack)
    declare = found.pop("DeclareItsParameters")
    assert set(declare["Action"]) == {"ssm:GetParameter", "ssm:PutParameter", "ssm:AddTagsToResource"}
    declared = json.loads(declaration(every_environment, stack).properties["Parameters"])
    names = [each["Name"] for each in declared]
    resources = declare["Resource"] if isinstance(declare["Resource"], list) else [declare["Resource"]]
    deployment = every_environment.environment.deployment
    assert sorted(resources) == sorted(
        f"arn:aws:ssm:{deployment.region}:{deployment.account}:parameter{name}" for name in names
    )
    records = {sid: found.pop(sid) for sid in ("RecordValues", "DecryptTheTable") if sid in found}
    assert bool(records) is (stack == "ModelRegistry")
    if records:
        assert records["RecordValues"]["Action"] == ["dynamodb:PutItem", "dynamodb:Query"]
        assert "AuditTable" in json.dumps(records["RecordValues"]["Resource"])
        assert (records["DecryptTheTable"]["Action"], len(records["DecryptTheTable"]["Condition"])) == (
            "kms:Decrypt",
            1,
        )
    assert found.pop("WriteItsLog")["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    if deployment.stateful_protection:
        assert found == {}
    else:
        delete = found.pop("DeleteItsParameters")
        assert (delete["Action"], delete["Resource"]) == ("ssm:DeleteParameter", declare["Resource"])
        assert found == {}
