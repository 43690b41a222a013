"""Who may answer, and at which address."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from stacks.settings_hosts import HostPattern, is_host_name
from stacks.settings_section import Section


def _https_origin(url: str) -> str:
    if not _is_https(url) or urlsplit(url).path:
        raise PydanticCustomError(
            "https_origin",
            "it must be https, a host's name and nothing else",
            {"remedy": "write it like https://aiplatform.eu.rep.googleapis.com"},
        )
    return url


def _openai_base(url: str) -> str:
    if not _is_https(url) or not urlsplit(url).path.endswith("/v1"):
        raise PydanticCustomError(
            "openai_base",
            "it must be https, a host's name and a path ending in /v1, because /chat/completions is appended",
            {"remedy": "write it like https://llama.example.com/v1"},
        )
    return url


def _https_address(url: str) -> str:
    if not _is_https(url) or url.endswith("/"):
        raise PydanticCustomError(
            "https_address",
            "it must be https, a host's name and a path without a slash at its end, because "
            "/service_accounts is appended",
            {"remedy": "write it like https://llama.example.com/v1/organization/projects/gateway"},
        )
    return url


def _is_https(url: str) -> bool:
    """Whether the address has a bare host name: no port, since only 443 leads out, and no credentials.

    It is a name and no number, since the firewall judges the name that a client asks for.
    """
    parts = urlsplit(url)
    bare = parts.netloc.lower() == parts.hostname and is_host_name(parts.hostname)
    return parts.scheme == "https" and bare and not (parts.query or parts.fragment)


HttpsOrigin = Annotated[str, AfterValidator(_https_origin)]
HttpsAddress = Annotated[str, AfterValidator(_https_address)]
OpenAiBase = Annotated[str, AfterValidator(_openai_base)]


class Bedrock(Section):
    """Models on Amazon Bedrock."""

    enabled: bool = Field(description="Whether models of this provider are offered and may be invoked.")
    role_arn: str | None = Field(
        default=None,
        pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/([A-Za-z0-9_+=,.@-]+/)*[A-Za-z0-9_+=,.@-]{1,64}$",
        description="Role of another account that calls Bedrock, with its models, quotas and bill. "
        "`make bedrock-role` prints what it must trust and allow. Without one the task's own role calls.",
    )
    external_id: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_+=,.@:/-]{2,1224}$",
        description="What the role's trust policy asks for beside the task's role; it is no secret.",
    )

    @property
    def assumed_role_arn(self) -> str | None:
        """The role that has to be assumed before Bedrock is called; None where there is none."""
        return self.role_arn if self.enabled else None


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
    further_hosts: tuple[HostPattern, ...] = Field(
        default=(),
        description="Other hosts that belong to this endpoint: exact, or `.example.com` for that name and "
        "every name below it. Both firewalls let them through; the gateway itself dials base_url alone.",
    )
    key_administration_url: HttpsAddress | None = Field(
        default=None,
        description="https address of the project whose service accounts hold the endpoint's keys, as in "
        "OpenAI's administration API; /service_accounts is appended. Where it is set, the endpoint's key "
        "rotates by itself with the key of an administrator, which is a secret of its own; without it a "
        "person puts each key. The rotation alone dials it, and both firewalls let it through.",
    )

    @property
    def host(self) -> str:
        """Host of the endpoint; empty where none is set."""
        return urlsplit(self.base_url or "").hostname or ""

    @property
    def administration_host(self) -> str:
        """Host where keys are administered; empty where none is set."""
        return urlsplit(self.key_administration_url or "").hostname or ""


class Providers(Section):
    """Who may answer."""

    bedrock: Bedrock
    google: Google
    llama: Llama
