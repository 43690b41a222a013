"""Findings of the rule packs that are accepted on purpose, each where it occurs and with its reason.

An acknowledgement that matches no finding would pass unseen, so it is also possible to build an
application whose acknowledgements are only listed, run the packs over it, and compare.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import aws_cdk as cdk
from constructs import IConstruct

LISTED_ONLY = "ai-orchestration:acknowledgements-listed-only"
"""Context key: where it is true, acknowledgements are recorded but silence nothing."""


class Pack(StrEnum):
    """The packs of rules that share their names, by the first part of a finding's id."""

    NIST = "NIST.800.53.R5"
    HIPAA = "HIPAA.Security"
    PCI = "PCI.DSS.321"


def in_packs(rule: str, *packs: Pack) -> tuple[str, ...]:
    """The findings of a rule that several packs have: all three unless `packs` names them."""
    return tuple(f"{pack}-{rule}" for pack in packs or Pack)


@dataclass(frozen=True, kw_only=True)
class Acknowledgement:
    """One accepted finding at a construct and below it; `path` is the construct's."""

    path: str
    finding: str
    reason: str


def acknowledge(construct: IConstruct, *findings: str, reason: str) -> None:
    """Accept `findings`, e.g. `AwsSolutions-IAM5[Resource::*]` or `House::own-key`, at `construct` and below.

    Raises:
        TypeError: at an app or a stack, which would accept findings of resources yet to be written.
    """
    if isinstance(construct, cdk.App | cdk.Stage | cdk.Stack):
        raise TypeError(
            f"{', '.join(findings)} is acknowledged for all of {construct.node.path or 'the app'}. "
            "Acknowledge it at the construct that causes it."
        )
    listed_only = construct.node.try_get_context(LISTED_ONLY)
    for finding in findings:
        if listed_only:
            construct.node.add_metadata(LISTED_ONLY, {"finding": finding, "reason": reason})
        else:
            cdk.Validations.of(construct).acknowledge(cdk.Acknowledgment(id=finding, reason=reason))


def listed(root: IConstruct) -> Iterator[Acknowledgement]:
    """Every acknowledgement of a tree that was built with `LISTED_ONLY`."""
    for construct in root.node.find_all():
        for entry in construct.node.metadata:
            if entry.type == LISTED_ONLY:
                yield Acknowledgement(
                    path=construct.node.path,
                    finding=str(entry.data["finding"]),
                    reason=str(entry.data["reason"]),
                )
