"""Every permission whose resource is or contains a wildcard, with the reason: the one place they are listed.

A test holds all templates of all environments to it, in both directions. A wildcard in a statement that
denies is not listed: it takes away more, not less.
"""

from __future__ import annotations

from collections.abc import Mapping

_LOOKING = "It lists what there is and knows no resource; it changes nothing and shows no data."
_LEAVING = "Lambda creates no function in a network whose role has it on less; its own code is denied it."

ROLES: Mapping[str, str] = {
    "ecr:GetAuthorizationToken": "A registry token belongs to no repository; pulling is limited to one.",
    # Where a release shifts traffic: ECS looks at listeners, Lambda at the network it joins.
    "ec2:DescribeNetworkInterfaces": _LOOKING,
    "ec2:DescribeSubnets": _LOOKING,
    "ec2:DeleteNetworkInterface": _LEAVING,
    "ec2:AssignPrivateIpAddresses": _LEAVING,
    "ec2:UnassignPrivateIpAddresses": _LEAVING,
    "elasticloadbalancing:DescribeListeners": _LOOKING,
    "elasticloadbalancing:DescribeRules": _LOOKING,
    "elasticloadbalancing:DescribeTargetGroups": _LOOKING,
    "elasticloadbalancing:DescribeTargetHealth": _LOOKING,
}
"""Action → reason, for the permissions of roles. The resource of each is `*`.

The services' authorization reference says which actions know no resource:
https://docs.aws.amazon.com/service-authorization/latest/reference/
What Lambda asks for: https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html"""

ROLE_PATTERNS: Mapping[str, str] = {
    ":network-interface/*": "Interfaces are named when they are made; Lambda alone may use the actions.",
    "/library/*": "Operators name the route sets that they propose.",
    "/flags/*": "An administrator may set every flag, and no other parameter lies below the path.",
}
"""End of a resource → reason, for the permissions of roles whose resources are wide in part."""

RESOURCE_POLICIES: Mapping[str, str] = {
    "AWS::EC2::VPCEndpoint": "An endpoint narrows what roles may do by itself; names that AWS invents at "
    "deployment are known by their beginning.",
    "AWS::KMS::Key": "In a key policy * is the key itself; nothing else can be written without a circle.",
    "AWS::S3::BucketPolicy": "Load balancers choose the names of the objects below the account's own prefix.",
}
"""Type → reason, for policies that belong to a resource and speak of it alone."""
