"""Findings that follow from a decision about the whole app, so that no single construct causes them."""

from __future__ import annotations

from aws_cdk import aws_iam as iam
from constructs import IConstruct

from stacks.acknowledgements import acknowledge, in_packs


def accept_inline_policies(root: IConstruct) -> None:
    """Accept that a role's permissions are part of the role, in every role below `root`."""
    for construct in root.node.find_all():
        if isinstance(construct, iam.CfnPolicy):
            acknowledge(
                construct,
                *in_packs("IAMNoInlinePolicy"),
                reason="A policy that is part of one role, goes with it, and cannot be attached elsewhere is "
                "the narrower grant.",
            )
