"""The sections of an environment file. The descriptions are the documentation of each setting.

They are also what an editor shows (`environments/schema.json`) and what a mistake quotes.
Rules between settings are in `stacks.settings_rules`.
"""

from __future__ import annotations

import ipaddress
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from stacks.settings_firewall import Firewall
from stacks.settings_flags import Flags
from stacks.settings_kill_switch import KillSwitch
from stacks.settings_providers import Providers
from stacks.settings_release import Release
from stacks.settings_rotation import Secrets
from stacks.settings_scaling import Scaling
from stacks.settings_section import Section
from stacks.settings_web_firewall import WebFirewall

LogRetentionDays = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]  # fmt: skip
"""The values of https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html"""


def _private_range(cidr: str) -> str:
    remedy = "give a private IPv4 range from /16 to /20, e.g. 10.20.0.0/16"
    try:
        network = ipaddress.IPv4Network(cidr)
    except ValueError as error:
        raise PydanticCustomError(
            "private_range", "{why}", {"why": f"it is no IPv4 range: {error}", "remedy": remedy}
        ) from error
    if not network.is_private or not 16 <= network.prefixlen <= 20:
        raise PydanticCustomError(
            "private_range", "every tier and zone must fit into a private range", {"remedy": remedy}
        )
    return cidr


PrivateRange = Annotated[str, AfterValidator(_private_range)]


_TAG = r"^[a-zA-Z0-9 ._:/=+@-]{1,256}$"
"""Not every service takes other letters in a tag; Bedrock does not."""


CDK_QUALIFIER = "hnb659fds"
"""What the CDK names its bootstrap resources with where nobody says otherwise."""


class Deployment(Section):
    """Where the environment lives and how careful a deploy has to be."""

    account: str = Field(
        pattern=r"^\d{12}$",
        description="AWS account, 12 digits in quotes. One environment an account. Changing this leaves the "
        "old deployment behind and starts an empty one.",
    )
    region: str = Field(
        pattern=r"^[a-z]{2}(-[a-z]+)+-\d$",
        description="AWS region. Changing this leaves the old deployment behind and starts an empty one.",
    )
    availability_zones: tuple[str, ...] = Field(
        min_length=2,
        max_length=3,
        description="Two or three zones of the region, named literally. Adding one at the end keeps the "
        "others; removing or reordering recreates subnets and what stands in them.",
    )
    eu_only: bool = Field(
        description="Nothing is processed outside the EU: the region, and every enabled provider's host, "
        "must be one that keeps processing in the EU.",
    )
    stateful_protection: bool = Field(
        description="Termination protection on stateful stacks; tables, keys and logs outlive their stack. "
        "Must be true in production. False lets `cdk destroy` delete data.",
    )
    permissions_boundary: str | None = Field(
        default=None,
        pattern=r"^([A-Za-z0-9_+=,.@-]+/)*[A-Za-z0-9_+=,.@-]{1,128}$",
        description="Name, with its path, of an IAM policy in the account that no role of the environment "
        "may exceed, those of the CDK's bootstrap included. It must exist before `make bootstrap`. Without "
        "it roles have no boundary.",
    )
    bootstrap_qualifier: str = Field(
        default=CDK_QUALIFIER,
        pattern=r"^[a-z0-9]{1,10}$",
        description="Tells the CDK's bootstrap resources of this environment from others in the account; the "
        "default is the CDK's own. Changing it needs `make bootstrap` before the next deploy.",
    )


class Tags(Section):
    """Put on every resource."""

    owner: str = Field(pattern=_TAG, description="Team that answers for the environment.")
    service: str = Field(default="ai-orchestration", pattern=_TAG, description="Service name.")
    cost_centre: str = Field(pattern=_TAG, description="Who pays.")


class Network(Section):
    """The private network."""

    cidr: PrivateRange = Field(
        description="IPv4 range of the VPC, /16 to /20, private. Changing this recreates the VPC and "
        "everything in it.",
    )
    nat_gateways: int = Field(
        ge=1,
        le=3,
        description="NAT gateways, from 1 to the number of zones. Production has one per zone, so that the "
        "loss of a zone takes nobody else's way out. Each costs about 35 EUR a month before traffic.",
    )
    flow_log_retention_days: LogRetentionDays = Field(
        description="Days that the record of traffic is kept: VPC flow logs, firewall logs, DNS queries."
    )
    firewall: Firewall = Field(description="What may leave the network.")


class Architecture(StrEnum):
    """CPU of the container image and of the tasks that run it."""

    ARM64 = "arm64"
    X86_64 = "x86_64"


class Gateway(Section):
    """The gateway's container and its front door."""

    architecture: Architecture = Field(description="CPU of image and task. arm64 is about 20 % cheaper.")
    certificate_arn: str | None = Field(
        default=None,
        pattern=r"^arn:aws[a-z-]*:acm:[a-z0-9-]+:\d{12}:certificate/[A-Za-z0-9-]+$",
        description="ACM certificate of the load balancer, in the same region. Without it the listener "
        "speaks plain HTTP inside the VPC. Going from one to the other replaces the listener.",
    )
    maximum_body_bytes: int = Field(
        ge=1024, le=52_428_800, description="Largest request accepted; above it the answer is 413."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        description="Least severe line that is logged. Prompts and answers are never logged, at any level."
    )
    log_retention_days: LogRetentionDays = Field(description="Days that the gateway's logs are kept.")
    web_firewall: WebFirewall = Field(description="What the load balancer's web firewall lets through.")


class Routing(Section):
    """Which routing policy is in force after a deploy."""

    route_set: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]*$",
        description="Name of a file in environments/route-sets/, without .toml.",
    )


class Guardrails(Section):
    """Which guardrails protect the domains."""

    policy_set: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]*$",
        description="Name of a file in environments/guardrails/, without .toml.",
    )


class Cache(Section):
    """ElastiCache Serverless for Valkey. Everything in it can be lost without harm."""

    maximum_data_gigabytes: int = Field(
        ge=1, le=5000, description="Most data held; the least used is evicted."
    )
    maximum_ecpu_per_second: int = Field(
        ge=1000,
        le=15_000_000,
        description="Most work a second in ElastiCache units; above it commands are throttled.",
    )
    snapshot_retention_days: int = Field(
        default=0, ge=0, le=35, description="Days that daily snapshots are kept; 0 takes none."
    )


class Monitoring(Section):
    """When somebody is told."""

    alarm_email: str | None = Field(
        default=None,
        pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
        description="Address that is subscribed to alarms; it must confirm once. Without it they only show.",
    )
    error_rate_percent: float = Field(
        gt=0, le=100, description="Share of answers with a 5xx status above which an alarm fires."
    )
    evaluation_minutes: int = Field(
        default=5,
        ge=1,
        le=60,
        description="Minutes looked at before an alarm decides; three in five must be bad.",
    )
    cpu_alarm_percent: int = Field(
        default=90,
        ge=1,
        le=100,
        description="Average CPU above which scaling has not kept up. Above the target.",
    )
    table_throttles_per_minute: int = Field(
        default=1, ge=1, description="Throttled registry requests a minute from which an alarm fires."
    )


class EnvironmentFile(Section):
    """One environment of the AI gateway. `python -m stacks.settings check` lists what is wrong."""

    deployment: Deployment
    tags: Tags
    network: Network
    scaling: Scaling
    release: Release
    gateway: Gateway
    providers: Providers
    secrets: Secrets
    routing: Routing
    guardrails: Guardrails
    flags: Flags
    kill_switch: KillSwitch = Field(default_factory=KillSwitch)
    cache: Cache
    monitoring: Monitoring
