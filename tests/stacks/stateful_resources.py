"""Pins the logical ids of what must not be replaced: `make pin-logical-ids` writes them down.

CloudFormation knows a resource by its logical id. Another id for the same thing means: make a new one, and
delete or orphan the one with the data.
"""

from __future__ import annotations

import sys
import tempfile
import tomllib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.stacks.synthesis import Resource, Synthesis, load_environment, synthesise

PINNED = Path(__file__).with_name("stateful_logical_ids.toml")

LOSS: Mapping[str, str] = {
    "AWS::DynamoDB::GlobalTable": "an empty table would take its place, or the deploy fails over its name",
    "AWS::EC2::EIP": "the address that others let in would change",
    "AWS::EC2::Subnet": "everything that stands in it would be recreated",
    "AWS::EC2::VPC": "the network and everything in it would be recreated",
    "AWS::ElastiCache::ServerlessCache": "an empty cache takes its place, or the deploy fails over its name",
    "AWS::ElasticLoadBalancingV2::LoadBalancer": "the DNS name that applications call would change",
    "AWS::KMS::Key": "what was encrypted with the old key could no longer be managed, nor read by new roles",
    "AWS::Logs::LogGroup": "the record so far would be left behind or deleted",
    "AWS::NetworkFirewall::Firewall": "traffic would have no way out until a new one stands",
    "AWS::RDS::DBCluster": "an empty database would take its place, filled again from the flag table",
    "AWS::S3::Bucket": "the objects so far would be left behind",
    "AWS::SecretsManager::Secret": "keys in use would be replaced by new ones",
}
"""The types that keep data, an address or a name that others hold, and what a replacement means."""

Pinned = Mapping[str, Mapping[str, str]]
"""Logical ids by stack and by the construct's path within it."""


def stateful(synthesis: Synthesis) -> Pinned:
    """The logical ids of an environment's stateful resources."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for resource in synthesis.resources():
        if resource.type in LOSS:
            found[resource.stack][_path(resource)] = resource.logical_id
    return found


def _path(resource: Resource) -> str:
    """The construct's path within its stack."""
    path: str = resource.body["Metadata"]["aws:cdk:path"]
    return path.partition("/")[2].removesuffix("/Resource")


@dataclass(frozen=True)
class Pins:
    """What the file holds: the ids in production, and those that only the `local` environment has."""

    production: Pinned
    local_only: Pinned

    def of(self, stack: str) -> Mapping[str, str]:
        """Every pinned id of a stack, wherever it is deployed."""
        return {**self.production.get(stack, {}), **self.local_only.get(stack, {})}


def pinned() -> Pins:
    """Read the file."""
    found = tomllib.loads(PINNED.read_text())
    return Pins(production=found["production"], local_only=found.get("local-only", {}))


def as_toml(pins: Pins) -> str:
    """The file's text for `pins`."""
    sections = [
        "\n".join(
            [f"[{where}.{stack}]", *(f'"{path}" = "{logical_id}"' for path, logical_id in sorted(of.items()))]
        )
        for where, ids in (("production", pins.production), ("local-only", pins.local_only))
        for stack, of in sorted(ids.items())
    ]
    heading = "# Written by `make pin-logical-ids`. A change here replaces what it names."
    return "\n\n".join([heading, *sections]) + "\n"


def main() -> int:
    """Write the logical ids of production, and what only `local` has, to the file."""
    with tempfile.TemporaryDirectory() as directory:
        production, local = (
            stateful(synthesise(load_environment(name), Path(directory) / name))
            for name in ("production", "local")
        )
    local_only = {
        stack: {path: of[path] for path in of.keys() - production.get(stack, {}).keys()}
        for stack, of in local.items()
    }
    pins = Pins(production=production, local_only={stack: of for stack, of in local_only.items() if of})
    PINNED.write_text(as_toml(pins))
    count = sum(len(of) for ids in (pins.production, pins.local_only) for of in ids.values())
    print(f"{count} logical ids in {PINNED.name}; read what changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
