"""The deployed stacks and their outputs, as operators read them (docs/contracts.md)."""

from __future__ import annotations

from dataclasses import dataclass

from local.aws import CLIENT_CONFIG, Account
from local.deployment import ENVIRONMENT
from local.progress import StepError

_PREFIX = f"ai-orchestration-{ENVIRONMENT}-"


@dataclass(frozen=True)
class DeployedStack:
    """One stack of the environment. `name` is without the environment's prefix."""

    name: str
    status: str
    outputs: dict[str, str]
    resource_types: frozenset[str]


def deployed_stacks(account: Account) -> dict[str, DeployedStack]:
    """The environment's stacks by name, in the order they were created."""
    client = account.session().client(
        "cloudformation", endpoint_url=account.endpoint_url, config=CLIENT_CONFIG
    )
    stacks = sorted(client.describe_stacks()["Stacks"], key=lambda stack: stack["CreationTime"])
    found = {}
    for stack in stacks:
        if not stack["StackName"].startswith(_PREFIX):
            continue
        name = stack["StackName"].removeprefix(_PREFIX)
        resources = client.describe_stack_resources(StackName=stack["StackName"])["StackResources"]
        found[name] = DeployedStack(
            name,
            stack["StackStatus"],
            {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])},
            frozenset(resource["ResourceType"] for resource in resources),
        )
    return found


def required_output(stacks: dict[str, DeployedStack], stack: str, key: str) -> str:
    """An output the contracts promise.

    Raises:
        StepError: the stack or the output is missing.
    """
    value = stacks[stack].outputs.get(key) if stack in stacks else None
    if value is None:
        raise StepError(
            f"the stack {_PREFIX}{stack} has no output {key}",
            "docs/contracts.md promises it: restore it in stacks/, then `make up`",
        )
    return value
