"""The container's environment, read once at the start. The table is in docs/contracts.md."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

import msgspec

AWS_LONDON = "eu-west-2"
AWS_ZURICH = "eu-central-2"
GOOGLE_LONDON = "europe-west2"
GOOGLE_ZURICH = "europe-west6"
_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]{1,576}", re.ASCII)
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class SettingsError(Exception):
    """The environment cannot be used; `mistakes` lists everything that is wrong with it."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


class BedrockRole(msgspec.Struct, frozen=True):
    """A role in another account that Bedrock is called with."""

    arn: str
    external_id: str | None


class FlagDatabaseSettings(msgspec.Struct, frozen=True):
    """Where the third tier of flags is, and as whom it is read; passwords are signed by the task role.

    `roots` is the file with the roots that its certificate must come from, None for those of Amazon RDS.
    """

    host: str
    port: int
    name: str
    user: str
    roots: str | None = None


class GoogleSettings(msgspec.Struct, frozen=True):
    """Where Gemini is called, and the secret with the service account's key."""

    secret: str
    base_url: str
    project: str
    location: str


class LlamaSettings(msgspec.Struct, frozen=True):
    """Where an OpenAI-compatible Llama endpoint is called, and the secret with its key."""

    secret: str
    base_url: str


class Settings(msgspec.Struct, frozen=True):
    """Everything the gateway is told from outside.

    `google`, `llama` and `flag_database` are None where disabled, `bedrock_role` where the task's own role
    calls Bedrock.
    """

    environment: str
    aws_region: str
    listen_address: str
    port: int
    log_level: str
    eu_only: bool
    model_registry_table: str
    route_set_parameter: str
    route_set_library: str
    audit_table: str
    flag_parameters: str
    flag_table: str
    flag_database: FlagDatabaseSettings | None
    client_keys_secret: str
    admin_keys_secret: str
    bedrock_role: BedrockRole | None
    google: GoogleSettings | None
    llama: LlamaSettings | None
    provider_hosts: frozenset[str]
    bedrock_base_url: str
    maximum_body_bytes: int
    drain_time_s: float


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the settings from `environment`.

    Raises:
        SettingsError: naming every variable that is missing or wrong, all at once.
    """
    reading = _Reading(environment)
    region = reading.text("AWS_REGION")
    bedrock_base_url = reading.url(
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME",
        environment.get("AWS_ENDPOINT_URL") or f"https://bedrock-runtime.{region}.amazonaws.com",
    )
    settings = Settings(
        environment=reading.text("ENVIRONMENT"),
        aws_region=region,
        listen_address=environment.get("LISTEN_ADDRESS") or "0.0.0.0",  # noqa: S104 - the container's only interface
        port=reading.whole_number("PORT", 1, 65535),
        log_level=reading.choice("LOG_LEVEL", LOG_LEVELS),
        eu_only=reading.choice("EU_ONLY", ("true", "false")) != "false",
        model_registry_table=reading.text("MODEL_REGISTRY_TABLE"),
        route_set_parameter=reading.text("ROUTE_SET_PARAMETER"),
        route_set_library=reading.text("ROUTE_SET_LIBRARY").rstrip("/"),
        audit_table=reading.text("AUDIT_TABLE"),
        flag_parameters=reading.text("FLAG_PARAMETERS").rstrip("/"),
        flag_table=reading.text("FLAG_TABLE"),
        flag_database=_flag_database(reading),
        client_keys_secret=reading.text("CLIENT_KEYS_SECRET"),
        admin_keys_secret=reading.text("ADMIN_KEYS_SECRET"),
        bedrock_role=_bedrock_role(reading),
        google=_google(reading),
        llama=_llama(reading),
        provider_hosts=reading.hosts("PROVIDER_HOSTS"),
        bedrock_base_url=bedrock_base_url,
        maximum_body_bytes=reading.whole_number("MAXIMUM_BODY_BYTES", 1, 1 << 30),
        drain_time_s=float(reading.whole_number("DRAIN_TIME_S", 0, 3600)),
    )
    mistakes = reading.mistakes or list(_outside_the_eu(settings))
    if mistakes:
        raise SettingsError(mistakes)
    return settings


def _outside_the_eu(settings: Settings) -> Iterator[str]:
    """What contradicts `EU_ONLY`."""
    if not settings.eu_only:
        return
    remedy = "with EU_ONLY=true it must be in the EU"
    if not settings.aws_region.startswith(("eu-", "eusc-")) or settings.aws_region in (
        AWS_LONDON,
        AWS_ZURICH,
    ):
        yield f"AWS_REGION is {settings.aws_region!r}; {remedy}, e.g. eu-central-1"
    google = settings.google
    if google is not None and not _in_the_eu(google.location):
        yield f"GOOGLE_LOCATION is {google.location!r}; {remedy}, e.g. eu or europe-west3"


def _in_the_eu(location: str) -> bool:
    """Whether a Google location keeps processing in the EU; `global` does not.

    https://cloud.google.com/vertex-ai/docs/general/locations; two European regions are outside the EU.
    """
    return location == "eu" or (
        location.startswith("europe-") and location not in (GOOGLE_LONDON, GOOGLE_ZURICH)
    )


def _bedrock_role(reading: _Reading) -> BedrockRole | None:
    if not reading.any_of(("BEDROCK_ROLE_ARN", "BEDROCK_ROLE_EXTERNAL_ID")):
        return None
    arn = reading.text("BEDROCK_ROLE_ARN")
    if arn and not _ROLE_ARN.fullmatch(arn):
        reading.mistakes.append(f"BEDROCK_ROLE_ARN is {arn!r}; give the ARN of an IAM role")
    return BedrockRole(arn, reading.optional_text("BEDROCK_ROLE_EXTERNAL_ID"))


def _flag_database(reading: _Reading) -> FlagDatabaseSettings | None:
    names = ("FLAG_DATABASE_HOST", "FLAG_DATABASE_PORT", "FLAG_DATABASE_NAME", "FLAG_DATABASE_USER")
    roots = reading.optional_text("FLAG_DATABASE_ROOTS")
    if not reading.any_of(names):
        return None
    return FlagDatabaseSettings(
        host=reading.text("FLAG_DATABASE_HOST"),
        port=reading.whole_number("FLAG_DATABASE_PORT", 1, 65535),
        name=reading.text("FLAG_DATABASE_NAME"),
        user=reading.text("FLAG_DATABASE_USER"),
        roots=roots,
    )


def _google(reading: _Reading) -> GoogleSettings | None:
    names = ("GOOGLE_SECRET", "GOOGLE_BASE_URL", "GOOGLE_PROJECT", "GOOGLE_LOCATION")
    if not reading.any_of(names):
        return None
    return GoogleSettings(
        secret=reading.text("GOOGLE_SECRET"),
        base_url=reading.url("GOOGLE_BASE_URL"),
        project=reading.text("GOOGLE_PROJECT"),
        location=reading.text("GOOGLE_LOCATION"),
    )


def _llama(reading: _Reading) -> LlamaSettings | None:
    if not reading.any_of(("LLAMA_SECRET", "LLAMA_BASE_URL")):
        return None
    return LlamaSettings(secret=reading.text("LLAMA_SECRET"), base_url=reading.url("LLAMA_BASE_URL"))


class _Reading:
    """Reads variables and notes every mistake; what it returns after one is never used."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.mistakes: list[str] = []

    def any_of(self, names: tuple[str, ...]) -> bool:
        return any(self._environment.get(name) for name in names)

    def text(self, name: str) -> str:
        value = self._environment.get(name, "").strip()
        if not value:
            self.mistakes.append(f"{name} is not set; the task definition must give it (docs/contracts.md)")
        return value

    def optional_text(self, name: str) -> str | None:
        return self._environment.get(name, "").strip() or None

    def whole_number(self, name: str, least: int, most: int) -> int:
        value = self.text(name)
        if value and not (value.isascii() and value.isdigit() and least <= int(value) <= most):
            self.mistakes.append(f"{name} is {value!r}; give a whole number from {least} to {most}")
            return least
        return int(value) if value else least

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        value = self.text(name)
        if value and value not in choices:
            self.mistakes.append(f"{name} is {value!r}; give one of {', '.join(choices)}")
        return value

    def url(self, name: str, default: str | None = None) -> str:
        value = (self._environment.get(name) or default) if default is not None else self.text(name)
        if value and not _is_base_url(value):
            self.mistakes.append(f"{name} is {value!r}; give an http or https address without a query")
        return (value or "").rstrip("/")

    def hosts(self, name: str) -> frozenset[str]:
        hosts = {host.strip().lower() for host in self._environment.get(name, "").split(",")} - {""}
        for host in sorted(hosts):
            if "/" in host or "*" in host:
                self.mistakes.append(
                    f"{name} contains {host!r}; give plain host names, without scheme, path or *"
                )
        return frozenset(hosts)


def _is_base_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return (
            parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.query or parts.fragment)
        )
    except ValueError:
        return False
