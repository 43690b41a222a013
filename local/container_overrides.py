"""The one set of variables in which a container here differs from its task definition.

Everything else it gets is what ECS would give it. A provider for which the caller's environment
holds real credentials keeps its real endpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from local.ports import LOOPBACK, Ports

BEARER_TOKEN = "AWS_BEARER_TOKEN_BEDROCK"  # noqa: S105  (the name of a variable)


@dataclass(frozen=True)
class RealProviders:
    """Which providers the caller has credentials for, and what of them the container needs."""

    bedrock_token: str | None = None
    google_key_file: Path | None = None
    google_project: str | None = None
    llama_key: str | None = None
    llama_base_url: str | None = None

    @classmethod
    def found_in(cls, environment: Mapping[str, str]) -> RealProviders:
        """A provider counts as real when everything it needs is set and not empty."""
        key_file = environment.get("GOOGLE_APPLICATION_CREDENTIALS")
        project = environment.get("GOOGLE_CLOUD_PROJECT")
        google = bool(key_file and project and Path(key_file).is_file())
        llama_key, llama_url = environment.get("LLAMA_API_KEY"), environment.get("LLAMA_BASE_URL")
        llama = bool(llama_key and llama_url)
        return cls(
            environment.get(BEARER_TOKEN) or None,
            Path(str(key_file)) if google else None,
            project if google else None,
            llama_key if llama else None,
            llama_url if llama else None,
        )

    def described(self) -> str:
        """Which providers are real and which simulated, in words."""
        kinds = {
            "Bedrock": self.bedrock_token,
            "Google": self.google_key_file,
            "Llama": self.llama_key,
        }
        return ", ".join(f"{name} {'real' if real else 'simulated'}" for name, real in kinds.items())


def container_overrides(
    defined: Mapping[str, str], ports: Ports, region: str, real: RealProviders
) -> dict[str, str]:
    """Variables that replace or join those of the task definition (`defined`)."""
    providers = f"http://{LOOPBACK}:{ports.providers}"
    bedrock = f"https://bedrock-runtime.{region}.amazonaws.com" if real.bedrock_token else providers
    overrides = {
        "AWS_ENDPOINT_URL": f"http://{LOOPBACK}:{ports.emulator}",
        # Set even for the real Bedrock: without it the emulator's endpoint would hold for it, too.
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": bedrock,
        "LISTEN_ADDRESS": LOOPBACK,
        "PORT": str(ports.gateway),
        "PROVIDER_HOSTS": _provider_hosts(defined, real),
    }
    if real.bedrock_token:
        overrides[BEARER_TOKEN] = real.bedrock_token
    if real.google_project:
        overrides["GOOGLE_PROJECT"] = real.google_project
    elif "GOOGLE_BASE_URL" in defined:
        overrides["GOOGLE_BASE_URL"] = providers
    if real.llama_base_url:
        overrides["LLAMA_BASE_URL"] = real.llama_base_url
    elif "LLAMA_BASE_URL" in defined:
        overrides["LLAMA_BASE_URL"] = f"{providers}/llama/v1"
    return overrides


def database_overrides(defined: Mapping[str, str], roots: Path) -> dict[str, str]:
    """Where the task has a flag database, the file with the authority of the certificate it has here."""
    return {"FLAG_DATABASE_ROOTS": str(roots)} if "FLAG_DATABASE_HOST" in defined else {}


def _provider_hosts(defined: Mapping[str, str], real: RealProviders) -> str:
    """The simulators' host, and a real provider's own: never the defined ones of a simulated provider."""
    hosts = [LOOPBACK]
    if real.google_project:
        hosts += [host for host in defined.get("PROVIDER_HOSTS", "").split(",") if "google" in host]
    if real.llama_base_url:
        hosts.append(urlsplit(real.llama_base_url).hostname or "")
    return ",".join(hosts)
