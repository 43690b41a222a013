"""`make permissions`: docs/permissions.md, from the production templates."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from local.emulator.unenforced import UNENFORCED
from stacks.wildcard_resources import RESOURCE_POLICIES, ROLE_PATTERNS, ROLES
from tests.privilege.needs import need_of
from tests.privilege.policies import Statement, as_list, statements
from tests.stacks.synthesis import ROOT, Synthesis

DOCUMENT = ROOT / "docs" / "permissions.md"

_INTRODUCTION = """# Who may do what

Generated from the production templates by `make permissions`; a test fails when it is not current. The other
environments differ in the providers they enable and in their names.

Each permission is proven twice. With all of them whoever holds the role does its work on the embedded cloud,
whose IAM enforces the deployed policies. Without one of them the named check fails:
`make test-privilege-mutations` removes each statement, action and resource in turn and prints the table.

No action is a wildcard. Roles are assumed by services alone, and `deployment.permissions_boundary` puts one
boundary on all of them.
What was decided on the way is in [decisions/permissions.md](decisions/permissions.md).
"""


def page(synthesis: Synthesis) -> str:
    """The whole document."""
    parts = [_INTRODUCTION, *_roles(synthesis), *_keys(synthesis), *_resource_policies(synthesis)]
    parts += [_table("Wildcard resources", ("where", "why"), _wildcards())]
    parts += [
        _table(
            "What the embedded cloud does not enforce",
            ("what", "why"),
            [[*row] for row in UNENFORCED.items()],
        )
    ]
    return "\n".join(parts)


def _roles(synthesis: Synthesis) -> Iterator[str]:
    yield "## Roles\n"
    descriptions = {
        role.logical_id: role.properties.get("Description", "Written by the CDK for the network's flow logs")
        for role in synthesis.resources("AWS::IAM::Role")
    }
    of_roles: dict[str, list[Statement]] = {}
    for statement in statements(synthesis):
        if statement.of_a_role:
            role = statement.resource.properties["Roles"][0]["Ref"]
            of_roles.setdefault(role, []).append(statement)
    for role, found in of_roles.items():
        heading = f"{_without_hash(role)} — {descriptions[role]}"
        allowed = [statement for statement in found if statement.body["Effect"] == "Allow"]
        rows = [row for statement in allowed for row in _permissions(role, statement)]
        yield _table(heading, ("action", "resource", "why", "check that fails without it"), rows, level=3)


def _permissions(role: str, statement: Statement) -> Iterator[list[str]]:
    """A row for each action and each need."""
    condition = statement.body.get("Condition", {})
    for action in statement.actions:
        by_need: dict[tuple[str, str], list[str]] = {}
        for resource in statement.resources:
            need = need_of(role, action, [resource, condition])
            if need is None:
                raise SystemExit(
                    f"Nobody says why {role} may {action} on {json.dumps(resource)}: "
                    "add it to tests/privilege/needs.py, or remove the permission"
                )
            by_need.setdefault((need.why, need.check), []).append(readable(resource))
        for (why, check), resources in by_need.items():
            yield [f"`{action}`", "<br>".join(_grouped(resources)) + _under(condition), why, check]


def _grouped(resources: list[str]) -> list[str]:
    """Models that differ in their region alone take one line."""
    regions: dict[str, list[str]] = {}
    for resource in resources:
        region, _, model = resource.removeprefix("arn:aws:bedrock:").partition("::foundation-model/")
        regions.setdefault(model or resource, []).append(region if model else "")
    return [
        f"`foundation-model/{name}` in {', '.join(where)}" if where != [""] else f"`{name}`"
        for name, where in regions.items()
    ]


def _under(condition: Mapping[str, Any]) -> str:
    equals = condition.get("StringEquals", {})
    if "kms:ViaService" in equals:
        return f" through {equals['kms:ViaService'].split('.')[0]}"
    return " through the profile" if "bedrock:InferenceProfileArn" in equals else ""


def _keys(synthesis: Synthesis) -> Iterator[str]:
    rows = []
    for key in synthesis.resources("AWS::KMS::Key"):
        for body in key.properties["KeyPolicy"]["Statement"]:
            if body.get("Sid") == "AdministeredByThisAccount":
                continue
            rows.append([f"{key.stack}/{_without_hash(key.logical_id)}", _who(body), _actions(body)])
    yield "## Policies of resources\n"
    yield "The account administers every key, as far as a principal's own policies allow, with actions that"
    yield "neither encrypt nor decrypt. For data each is used only as follows.\n"
    yield _table("Keys", ("key", "who", "actions"), rows, level=3)


def _resource_policies(synthesis: Synthesis) -> Iterator[str]:
    rows = []
    for statement in statements(synthesis):
        if statement.of_a_role or statement.resource.type in ("AWS::KMS::Key", "AWS::EC2::VPCEndpoint"):
            continue
        name = f"{statement.resource.stack}/{_without_hash(statement.resource.logical_id)}"
        rows.append([name, statement.body["Effect"].lower(), _who(statement.body), _actions(statement.body)])
    yield _table(
        "Secrets, buckets, topics and log groups", ("policy", "effect", "who", "actions"), rows, level=3
    )


def _who(body: Mapping[str, Any]) -> str:
    principal = body["Principal"]
    if isinstance(principal, dict):
        (principal,) = principal.values()
    named = [f"`{readable(one)}`" for one in as_list(principal)]
    if "*" in as_list(principal):
        named = ["everybody"]
    return ", ".join(named) + "".join(
        f"; {operator} `{key}` {readable(value)}"
        for operator, keys in body.get("Condition", {}).items()
        for key, value in keys.items()
    )


def _actions(body: Mapping[str, Any]) -> str:
    return ", ".join(f"`{action}`" for action in as_list(body["Action"]))


def _wildcards() -> list[list[str]]:
    return [[f"`{name}`", why] for name, why in {**ROLES, **ROLE_PATTERNS, **RESOURCE_POLICIES}.items()]


def readable(value: Any) -> str:  # noqa: ANN401 - JSON
    """A resource as a person would call it: ARNs of the account without it, references by their name."""
    if isinstance(value, dict):
        ((function, argument),) = value.items()
        if function == "Fn::Join":
            return "".join(readable(part) for part in argument[1])
        if function == "Fn::ImportValue":
            exported = re.fullmatch(
                r"ai-orchestration-production-(.+):ExportsOutput(?:Ref|FnGetAtt)(.+)", str(argument)
            )
            assert exported, argument
            return f"{exported[1]}/{_without_hash(exported[2])}"
        if function == "Fn::GetStackOutput":
            return _without_hash(str(argument["OutputName"]).removeprefix("PublishOutputRef"))
        return _without_hash(argument if isinstance(argument, str) else argument[0])
    if isinstance(value, list):
        return ", ".join(readable(one) for one in value)
    own = r"arn:aws:[a-z]+:eu-central-1:333333333333:"
    return re.sub(own, "", str(value)).replace("333333333333", "<account>")


def _without_hash(logical_id: str) -> str:
    return re.sub(r"(?:Arn)?[0-9A-F]{8,}(?:Arn[0-9A-F]+)?$", "", logical_id)


def _table(heading: str, columns: tuple[str, ...], rows: list[list[str]], *, level: int = 2) -> str:
    lines = [f"{'#' * level} {heading}\n", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows), ""])


def main(destination: Path) -> int:
    """Write the document."""
    import tempfile

    from tests.stacks.synthesis import load_environment, synthesise

    with tempfile.TemporaryDirectory() as scratch:
        destination.write_text(page(synthesise(load_environment("production"), Path(scratch) / "out")))
    return 0


if __name__ == "__main__":
    sys.exit(main(DOCUMENT))
