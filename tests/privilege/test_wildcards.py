"""No permission is wider than its reason: over every policy of every environment."""

from __future__ import annotations

import json
from collections.abc import Callable

from stacks.wildcard_resources import RESOURCE_POLICIES, ROLES
from tests.privilege.policies import Statement, statements, trusts
from tests.stacks.synthesis import ENVIRONMENT_NAMES, Synthesis


def wide(statement: Statement) -> bool:
    """Whether a resource is, or contains, a wildcard. References to other resources have none to show."""
    return any("*" in json.dumps(resource) for resource in statement.resources)


def test_no_action_is_a_wildcard(every_environment: Synthesis) -> None:
    assert [
        (statement.name, action)
        for statement in statements(every_environment)
        for action in statement.actions
        if statement.allows and "*" in action and statement.resource.type != "AWS::EC2::VPCEndpoint"
    ] == []


def test_nothing_is_allowed_by_exception(every_environment: Synthesis) -> None:
    """`NotAction` and its like allow what nobody has thought of yet."""
    assert [
        statement.name
        for statement in statements(every_environment)
        if statement.allows and {"NotAction", "NotResource", "NotPrincipal"} & set(statement.body)
    ] == []


def test_a_role_reaches_every_resource_only_with_actions_that_know_none(every_environment: Synthesis) -> None:
    assert [
        statement.name
        for statement in statements(every_environment)
        if statement.allows
        and statement.of_a_role
        and wide(statement)
        and not (statement.resources == ["*"] and set(statement.actions) <= set(ROLES))
    ] == []


def test_a_policy_of_a_resource_has_a_wildcard_only_where_the_list_says_why(
    every_environment: Synthesis,
) -> None:
    assert [
        statement.name
        for statement in statements(every_environment)
        if statement.allows
        and not statement.of_a_role
        and wide(statement)
        and statement.resource.type not in RESOURCE_POLICIES
    ] == []


def test_the_list_of_wildcards_holds_nothing_that_is_not_used(
    synthesised: Callable[[str], Synthesis],
) -> None:
    found = [
        statement
        for name in ENVIRONMENT_NAMES
        for statement in statements(synthesised(name))
        if statement.allows and wide(statement)
    ]
    assert {action for one in found if one.of_a_role for action in one.actions} == set(ROLES)
    assert {one.resource.type for one in found if not one.of_a_role} == set(RESOURCE_POLICIES)


def test_only_services_may_assume_roles(every_environment: Synthesis) -> None:
    for statement in trusts(every_environment):
        assert list(statement.body["Principal"]) == ["Service"], statement.name
        assert statement.actions == ["sts:AssumeRole"], statement.name


def test_nobody_outside_the_account_is_let_in(every_environment: Synthesis) -> None:
    """Everybody is named only where the account is a condition; image layers are AWS's own."""
    account = every_environment.environment.deployment.account
    for statement in statements(every_environment):
        principals = json.dumps(statement.body.get("Principal", {}))
        if statement.allows and '"*"' in principals and statement.body.get("Sid") != "ImageLayers":
            assert account in json.dumps(statement.body.get("Condition", {})), statement.name
