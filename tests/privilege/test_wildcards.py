"""No permission is wider than its reason: over every policy of every environment."""

from __future__ import annotations

import json
from collections.abc import Callable

from stacks.wildcard_resources import RESOURCE_POLICIES, ROLE_PATTERNS, ROLES
from tests.privilege.conftest import SHIFTING
from tests.privilege.policies import Statement, statements, trusts
from tests.stacks.synthesis import ENVIRONMENT_NAMES, Synthesis


def wide(statement: Statement) -> bool:
    """Whether a resource is, or contains, a wildcard. References to other resources have none to show."""
    return any("*" in json.dumps(resource) for resource in statement.resources)


def narrowed(statement: Statement) -> bool:
    """Whether every wildcard of a statement is one whose reason is known."""
    wild = [
        json.dumps(resource).strip('"') for resource in statement.resources if "*" in json.dumps(resource)
    ]
    return all(text.endswith(tuple(ROLE_PATTERNS)) for text in wild)


def test_no_action_is_a_wildcard(every_variant: Synthesis) -> None:
    assert [
        (statement.name, action)
        for statement in statements(every_variant)
        for action in statement.actions
        if statement.allows and "*" in action
    ] == []


def test_nothing_is_allowed_by_exception(every_variant: Synthesis) -> None:
    """`NotAction` and its like allow what nobody has thought of yet."""
    assert [
        statement.name
        for statement in statements(every_variant)
        if statement.allows and {"NotAction", "NotResource", "NotPrincipal"} & set(statement.body)
    ] == []


def test_a_role_reaches_every_resource_only_with_actions_that_know_none(every_variant: Synthesis) -> None:
    assert [
        statement.name
        for statement in statements(every_variant)
        if statement.allows
        and statement.of_a_role
        and wide(statement)
        and not (statement.resources == ["*"] and set(statement.actions) <= set(ROLES))
        and not narrowed(statement)
    ] == []


def test_a_policy_of_a_resource_has_a_wildcard_only_where_the_list_says_why(
    every_variant: Synthesis,
) -> None:
    assert [
        statement.name
        for statement in statements(every_variant)
        if statement.allows
        and not statement.of_a_role
        and wide(statement)
        and statement.resource.type not in RESOURCE_POLICIES
    ] == []


def test_the_list_of_wildcards_holds_nothing_that_is_not_used(
    variant: Callable[[str], Synthesis],
) -> None:
    found = [
        statement
        for name in (*ENVIRONMENT_NAMES, SHIFTING)
        for statement in statements(variant(name))
        if statement.allows and wide(statement)
    ]
    of_roles = [one for one in found if one.of_a_role]
    assert {action for one in of_roles if one.resources == ["*"] for action in one.actions} == set(ROLES)
    patterns = {
        pattern for one in of_roles for pattern in ROLE_PATTERNS if pattern in json.dumps(one.resources)
    }
    assert patterns == set(ROLE_PATTERNS)
    assert {one.resource.type for one in found if not one.of_a_role} == set(RESOURCE_POLICIES)


def test_only_services_may_assume_roles(every_variant: Synthesis) -> None:
    for statement in trusts(every_variant):
        assert list(statement.body["Principal"]) == ["Service"], statement.name
        assert statement.actions == ["sts:AssumeRole"], statement.name


def test_nobody_outside_the_account_is_let_in(every_variant: Synthesis) -> None:
    """Everybody is named only where the account is a condition; image layers are AWS's own."""
    account = every_variant.environment.deployment.account
    for statement in statements(every_variant):
        principals = json.dumps(statement.body.get("Principal", {}))
        if statement.allows and '"*"' in principals and statement.body.get("Sid") != "ImageLayers":
            assert account in json.dumps(statement.body.get("Condition", {})), statement.name
