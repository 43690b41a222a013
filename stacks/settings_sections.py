"""The sections of an environment file. The descriptions are the documentation of each setting.

They are also what an editor shows (`environments/schema.json`) and what a mistake quotes.
Rules between settings are in `stacks.settings_rules`.
"""

from __future__ import annotations

import ipaddress
from enum import StrEnum
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

LogRetentionDays = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]  # fmt: skip
"""The values of https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html"""


def _https_origin(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.path or parts.query or parts.fragment:
        raise PydanticCustomError(
            "https_origin",
            "it must be https, a host and nothing else",
            {"remedy": "write it like https://aiplatform.eu.rep.googleapis.com"},
        )
    return url


def _openai_base(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or not parts.path.endswith("/v1") or parts.query:
        raise PydanticCustomError(
            "openai_base",
            "it must be https and end in /v1, because /chat/completions is appended to it",
            {"remedy": "write it like https://llama.example.com/v1"},
        )
    return url


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


def _cron(expression: str) -> str:
    fields = expression.removeprefix("cron(").removesuffix(")").split()
    framed = expression.startswith("cron(") and expression.endswith(")")
    if not framed or len(fields) != 6 or [fields[2], fields[4]].count("?") != 1:
        raise PydanticCustomError(
            "cron",
            "it is no cron expression of AWS: six fields, and ? in exactly one of day and weekday",
            {"remedy": "write cron(minute hour day month weekday year), e.g. cron(0 7 ? * MON-FRI *)"},
        )
    return expression


HttpsOrigin = Annotated[str, AfterValidator(_https_origin)]
OpenAiBase = Annotated[str, AfterValidator(_openai_base)]
PrivateRange = Annotated[str, AfterValidator(_private_range)]
CronExpression = Annotated[str, AfterValidator(_cron)]


class Section(BaseModel):
    """A frozen table of settings that refuses keys it does not know and never guesses a type."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


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


class Tags(Section):
    """Put on every resource."""

    owner: str = Field(min_length=1, max_length=256, description="Team that answers for the environment.")
    service: str = Field(
        default="ai-orchestration", min_length=1, max_length=256, description="Service name."
    )
    cost_centre: str = Field(min_length=1, max_length=256, description="Who pays.")


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
    flow_log_retention_days: LogRetentionDays = Field(description="Days that VPC flow logs are kept.")


class ScheduledFloor(Section):
    """Sets the minimum number of tasks at a time. It stays until another floor changes it."""

    name: str = Field(
        pattern=r"^[a-z][a-z0-9-]{0,62}$", description="Unique, lower case, words joined by hyphens."
    )
    schedule: CronExpression = Field(description="When, as cron(minute hour day month weekday year).")
    time_zone: str = Field(
        default="Europe/Berlin",
        pattern=r"^([A-Z][A-Za-z_]+(/[A-Z][A-Za-z_+-]*)+|UTC)$",
        description="IANA time zone of the schedule; daylight saving is followed.",
    )
    tasks_minimum: int = Field(ge=1, le=20, description="Minimum number of tasks from then on.")


class Scaling(Section):
    """How many tasks run, how large they are, when more are started, and how they leave."""

    tasks_minimum: int = Field(
        ge=1, le=20, description="Tasks that always run. At least 2 in production, so that one may fail."
    )
    tasks_maximum: int = Field(
        ge=1, le=20, description="Tasks at most; the ceiling of cost. Not below the minimum."
    )
    cpu_target_percent: int = Field(
        ge=10, le=90, description="Average CPU that scaling aims at. Lower reacts earlier and costs more."
    )
    requests_per_task_per_minute: int = Field(
        ge=1,
        le=100_000,
        description="Requests a minute that one task should serve; more starts another task.",
    )
    latency_target_ms: int = Field(
        ge=100,
        le=120_000,
        description="95th percentile of answer time that is still good, providers' time included. Alarms "
        "fire above it.",
    )
    scale_out_cooldown_s: int = Field(ge=0, le=3600, description="Seconds between two steps up.")
    scale_in_cooldown_s: int = Field(
        ge=0,
        le=3600,
        description="Seconds between two steps down. Keep it well above the step up, or tasks flap.",
    )
    task_cpu_units: Literal[256, 512, 1024, 2048, 4096, 8192, 16384] = Field(
        description="CPU of a task, 1024 units are one vCPU. A change replaces all tasks, a few at a time."
    )
    task_memory_mib: int = Field(
        ge=512,
        le=122_880,
        description="Memory of a task in MiB; Fargate offers certain sizes for each CPU size.",
    )
    drain_time_s: int = Field(
        ge=5,
        le=110,
        description="Seconds a leaving task may take to finish its requests. At most 110: ECS kills it after "
        "120. Drives the load balancer's deregistration, the stop timeout and the gateway's shutdown.",
    )
    scheduled_floors: tuple[ScheduledFloor, ...] = Field(
        default=(),
        max_length=20,
        description="Minimum number of tasks by the clock: raised before office hours, lowered after.",
    )


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


class Bedrock(Section):
    """Models on Amazon Bedrock."""

    enabled: bool = Field(description="Whether models of this provider are offered and may be invoked.")


class Google(Section):
    """Gemini on Vertex AI."""

    enabled: bool = Field(
        description="Whether models of this provider are offered and its hosts may be dialled."
    )
    base_url: HttpsOrigin = Field(
        default="https://aiplatform.eu.rep.googleapis.com",
        description="Vertex AI endpoint. The default is the EU multi-region: processing stays in the EU.",
    )
    project: str = Field(
        default="",
        pattern=r"^([a-z][a-z0-9-]{4,28}[a-z0-9])?$",
        description="Google Cloud project id. Required when enabled.",
    )
    location: str = Field(
        default="eu",
        pattern=r"^[a-z][a-z0-9-]+$",
        description="Vertex location; it must belong to the endpoint.",
    )

    @property
    def host(self) -> str:
        """Host of the Vertex endpoint."""
        return urlsplit(self.base_url).hostname or ""


class Llama(Section):
    """Llama behind any OpenAI-compatible endpoint."""

    enabled: bool = Field(
        description="Whether this endpoint is offered and may be dialled. Llama on Bedrock does not need it."
    )
    base_url: OpenAiBase | None = Field(
        default=None, description="https address up to and including /v1. Required when enabled."
    )
    eu_processing: bool = Field(
        default=False,
        description="You have it in writing that this endpoint processes in the EU. Required by eu_only.",
    )

    @property
    def host(self) -> str:
        """Host of the endpoint; empty where none is set."""
        return urlsplit(self.base_url or "").hostname or ""


class Providers(Section):
    """Who may answer."""

    bedrock: Bedrock
    google: Google
    llama: Llama


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
    gateway: Gateway
    providers: Providers
    routing: Routing
    guardrails: Guardrails
    cache: Cache
    monitoring: Monitoring
