"""docs/permissions.md says what the templates say."""

from __future__ import annotations

from tests.privilege.document import DOCUMENT, page
from tests.privilege.needs import NEEDS, need_of
from tests.privilege.policies import statements
from tests.stacks.synthesis import Synthesis


def test_the_document_is_current(production: Synthesis) -> None:
    assert DOCUMENT.read_text() == page(production), "run `make permissions`"


def test_every_permission_of_every_environment_has_a_reason(every_environment: Synthesis) -> None:
    assert [
        statement.name
        for statement in statements(every_environment)
        if statement.of_a_role
        for action in statement.actions
        for resource in statement.resources
        if need_of(
            statement.resource.properties["Roles"][0]["Ref"],
            action,
            [resource, statement.body.get("Condition", {})],
        )
        is None
    ] == []


def test_every_reason_is_for_a_permission_that_is_there(every_environment: Synthesis) -> None:
    if every_environment.environment.name != "local":
        return  # it enables every provider; the others have a part of its permissions
    used = {
        need_of(
            statement.resource.properties["Roles"][0]["Ref"],
            action,
            [resource, statement.body.get("Condition", {})],
        )
        for statement in statements(every_environment)
        if statement.of_a_role
        for action in statement.actions
        for resource in statement.resources
    }
    assert [need for need in NEEDS if need not in used] == []
