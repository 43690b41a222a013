"""Takes one permission away at a time and looks what fails: `make test-privilege-mutations`.

For every deployed role each statement, each action and each resource of a statement is removed from the
role's policy in the emulated IAM, and whoever holds the role is put to work. A permission whose loss nobody
notices is one nobody needs: the run ends with status 1 and names it.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.aws import known_account
from local.cloud import Connection, EmbeddedCloud
from local.emulator.unenforced import UNENFORCED
from local.outputs import deployed_stacks
from local.ports import Ports
from local.state import StateDirectory
from tests.local.embedded_cloud import RunningCloud, isolated_environment
from tests.privilege.holders import EXERCISES, admin
from tests.privilege.needs import need_of
from tests.privilege.policies import as_list

Document = dict[str, Any]


@dataclass(frozen=True)
class DeployedRole:
    """A role of the environment and its one policy."""

    logical_id: str
    name: str
    policy: str
    document: Document

    @property
    def holder(self) -> str:
        """Key of the role's exercise.

        Raises:
            AssertionError: a role that nobody exercises.
        """
        for prefix in EXERCISES:
            if self.logical_id.startswith(prefix):
                return prefix
        raise AssertionError(
            f"Nobody exercises the role {self.logical_id}: add what its holder does to "
            "tests/privilege/holders.py, and why to tests/privilege/needs.py"
        )


@dataclass(frozen=True)
class Mutation:
    """A policy with one permission less, and the checks that must notice."""

    role: DeployedRole
    kind: str
    removed: str
    document: Document
    expected: frozenset[str]


@dataclass(frozen=True)
class Result:
    """What a mutation made fail: check → what went wrong."""

    mutation: Mutation
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def noticed(self) -> bool:
        """Whether every check failed that should have."""
        return bool(self.failed) and self.mutation.expected <= set(self.failed)


def deployed_roles(cloud: RunningCloud) -> list[DeployedRole]:
    """Every role of the environment's stacks."""
    identities = admin(cloud, "iam")
    found = []
    for logical_id, name in _role_names(cloud):
        (policy,) = identities.list_role_policies(RoleName=name)["PolicyNames"]
        assert identities.list_attached_role_policies(RoleName=name)["AttachedPolicies"] == [], name
        document = identities.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        found.append(DeployedRole(logical_id, name, policy, document))
    return sorted(found, key=lambda role: role.logical_id)


def _role_names(cloud: RunningCloud) -> Iterator[tuple[str, str]]:
    stacks = admin(cloud, "cloudformation")
    for stack in deployed_stacks(cloud.account):
        resources = stacks.describe_stack_resources(StackName=f"ai-orchestration-local-{stack}")
        for one in resources["StackResources"]:
            if one["ResourceType"] == "AWS::IAM::Role":
                yield one["LogicalResourceId"], one["PhysicalResourceId"]


def mutations(role: DeployedRole) -> Iterator[Mutation]:
    """The role's policy with each statement, then each action, then each resource taken away.

    What Lambda does to join a function to the network is left alone: there are no interfaces here.
    """
    for position, statement in enumerate(role.document["Statement"]):
        if all(action.startswith("ec2:") for action in as_list(statement["Action"])):
            continue
        yield _mutation(role, "statement", position, statement, None)
        for kind in ("Action", "Resource"):
            values = as_list(statement[kind])
            for value in values if len(values) > 1 else ():
                yield _mutation(role, kind.lower(), position, statement, (kind, value))


def _mutation(
    role: DeployedRole, kind: str, position: int, statement: Document, value: tuple[str, str] | None
) -> Mutation:
    document = copy.deepcopy(role.document)
    removed = dict(statement)
    if value is None:
        del document["Statement"][position]
    else:
        key, gone = value
        document["Statement"][position][key] = [one for one in as_list(statement[key]) if one != gone]
        removed[key] = gone
    return Mutation(role, kind, _described(removed), document, frozenset(_expected(role, removed)))


def _expected(role: DeployedRole, removed: Document) -> Iterator[str]:
    for action in as_list(removed["Action"]):
        for resource in as_list(removed["Resource"]):
            need = need_of(role.logical_id, action, [resource, removed.get("Condition", {})])
            yield need.check if need else f"(nobody says why {action} on {resource})"


def _described(statement: Document) -> str:
    actions = ", ".join(as_list(statement["Action"]))
    resources = as_list(statement["Resource"])
    shown = _short(resources[0]) + (f" and {len(resources) - 1} more" if len(resources) > 1 else "")
    condition = json.dumps(statement.get("Condition", {}))
    through = next((part for part in ("dynamodb.", "secretsmanager.") if part in condition), "")
    return f"{actions} on {shown}" + (f" through {through.rstrip('.')}" if through else "")


def _short(arn: str) -> str:
    service, _, region, account, resource = (arn.split(":", 5) + [""] * 6)[1:6] if ":" in arn else [""] * 5
    del service, account
    place = f"{region}/" if "foundation-model" in arn else ""
    return f"{place}{resource}" if resource else arn


@contextmanager
def in_force(cloud: RunningCloud, mutation: Mutation) -> Iterator[None]:
    """The mutated policy, until the end of the block."""
    identities, role = admin(cloud, "iam"), mutation.role
    target = {"RoleName": role.name, "PolicyName": role.policy}
    try:
        if mutation.document["Statement"]:
            identities.put_role_policy(**target, PolicyDocument=json.dumps(mutation.document))
        else:
            identities.delete_role_policy(**target)
        yield
    finally:
        identities.put_role_policy(**target, PolicyDocument=json.dumps(role.document))


def exercise(cloud: RunningCloud, holder: str, run: str) -> dict[str, str]:
    """Put the holder of a role to work; the checks that failed."""
    return {check: problem for check, problem in EXERCISES[holder](cloud, run) if problem is not None}


def judge(cloud: RunningCloud, mutation: Mutation, run: str) -> Result:
    """What fails without the permission."""
    with in_force(cloud, mutation):
        return Result(mutation, exercise(cloud, mutation.role.holder, run))


@contextmanager
def own_cloud(directory: Path) -> Iterator[RunningCloud]:
    """An embedded cloud for this run alone."""
    cloud = EmbeddedCloud(StateDirectory(directory), Ports.free(), isolated_environment())
    try:
        connection: Connection = cloud.up()
        account = known_account(cloud.state)
        assert account is not None
        yield RunningCloud(cloud, connection, account)
    finally:
        cloud.down()


def table(results: Sequence[Result]) -> Iterator[str]:
    """One line a permission: what was removed from whom, and which checks failed."""
    for role in dict.fromkeys(one.mutation.role.logical_id for one in results):
        yield f"\n{role}"
        for one in results:
            if one.mutation.role.logical_id == role:
                mark = "ok " if one.noticed else "!! "
                failed = "; ".join(one.failed) or "nothing failed"
                yield f"  {mark}{one.mutation.kind:<10}{one.mutation.removed:<100} → {failed}"


def main(words: list[str]) -> int:
    """Run everything; 1 if a permission is missing, or one is there that nobody needs."""
    parser = argparse.ArgumentParser(prog="python -m tests.privilege.mutations", description=__doc__)
    parser.add_argument("state_directory", type=Path, help="an empty folder for the embedded cloud")
    arguments = parser.parse_args(words)
    with own_cloud(arguments.state_directory.resolve()) as cloud:
        started = time.monotonic()
        roles = deployed_roles(cloud)
        for role in roles:
            missing = exercise(cloud, role.holder, f"{role.holder.lower()}-whole")
            print(f"{role.logical_id}: {missing or 'works with exactly its deployed policy'}", flush=True)
            if missing:
                return 1
        results = []
        for number, mutation in enumerate(one for role in roles for one in mutations(role)):
            results.append(judge(cloud, mutation, f"run-{number}"))
            print("." if results[-1].noticed else "!", end="", flush=True)
    for line in table(results):
        print(line)
    unnoticed = [one.mutation.removed for one in results if not one.noticed]
    print(f"\n{len(results)} permissions removed in {time.monotonic() - started:.0f} s, ", end="")
    print(f"not noticed as they should be: {unnoticed or 'none'}")
    print("\nWhat the emulator does not enforce:")
    for what, missing_check in UNENFORCED.items():
        print(f"  {what}: {missing_check}")
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
