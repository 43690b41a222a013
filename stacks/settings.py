"""The typed environment: one TOML file in, everything the stacks are driven by out.

    environment = load(Path("environments/production.toml"))

`python -m stacks.settings check` lists every mistake of the environment files,
`python -m stacks.settings schema` prints their JSON schema, `python -m stacks.settings bootstrap ENV` what
`cdk bootstrap` is told. Nothing here needs the CDK.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pydantic import Field

from stacks import settings_rules
from stacks.settings_errors import Finding, Mistake, SettingsError
from stacks.settings_firewall import Firewall
from stacks.settings_flags import Flags
from stacks.settings_guardrails import GuardrailPolicy, GuardrailPolicySet
from stacks.settings_parsing import as_json, findings_of, well_formed_values
from stacks.settings_providers import Bedrock, Google, Llama, Providers
from stacks.settings_release import Release, ReleaseStrategy
from stacks.settings_rotation import Rotation, Secrets
from stacks.settings_scaling import Scaling, ScheduledFloor
from stacks.settings_sections import (
    CDK_QUALIFIER,
    Architecture,
    Cache,
    Deployment,
    EnvironmentFile,
    Gateway,
    Guardrails,
    Monitoring,
    Network,
    Routing,
    Tags,
)

__all__ = [
    "Architecture",
    "Bedrock",
    "Cache",
    "Deployment",
    "Environment",
    "Firewall",
    "Flags",
    "Gateway",
    "Google",
    "GuardrailPolicy",
    "Guardrails",
    "Llama",
    "Mistake",
    "Monitoring",
    "Network",
    "Providers",
    "Release",
    "ReleaseStrategy",
    "Rotation",
    "Routing",
    "Scaling",
    "ScheduledFloor",
    "Secrets",
    "SettingsError",
    "Tags",
    "environment_names",
    "load",
]

GOOGLE_TOKEN_HOST = "oauth2.googleapis.com"  # noqa: S105 - a host, not a secret
"""Where a service-account key is exchanged for a token; sees credentials, never a prompt."""

GOOGLE_IAM_HOST = "iam.googleapis.com"
"""Where keys of service accounts are made and deleted; the rotation alone dials it."""


class Environment(EnvironmentFile):
    """An environment that was read and found consistent, and what follows from its settings."""

    name: str = Field(description="Stem of the file's name.")
    guardrail_policies: dict[str, GuardrailPolicy] = Field(description="Policy by domain.")

    @property
    def is_production(self) -> bool:
        """Whether the stricter rules hold."""
        return self.name == settings_rules.PRODUCTION

    @property
    def stack_prefix(self) -> str:
        """What every stack's name starts with, without the hyphen that follows."""
        return f"ai-orchestration-{self.name}"

    @property
    def bootstrap_arguments(self) -> tuple[str, ...]:
        """What `cdk bootstrap` is told: which account and region, under which name, within which boundary."""
        deployment = self.deployment
        arguments = [
            f"aws://{deployment.account}/{deployment.region}",
            f"--qualifier={deployment.bootstrap_qualifier}",
        ]
        if deployment.bootstrap_qualifier != CDK_QUALIFIER:
            arguments.append(f"--toolkit-stack-name=CDKToolkit-{deployment.bootstrap_qualifier}")
        if deployment.permissions_boundary:
            arguments += [
                f"--custom-permissions-boundary={deployment.permissions_boundary}",
                "--apply-permissions-boundary-to-all-roles",
            ]
        return tuple(arguments)

    @property
    def provider_hosts(self) -> tuple[str, ...]:
        """Hosts outside AWS that the gateway dials, sorted; its own egress guard knows no others."""
        hosts = set()
        if self.providers.google.enabled:
            hosts |= {self.providers.google.host, GOOGLE_TOKEN_HOST}
        if self.providers.llama.enabled:
            hosts.add(self.providers.llama.host)
        return tuple(sorted(hosts))

    @property
    def egress_hosts(self) -> tuple[str, ...]:
        """What both firewalls let through, sorted.

        That is `provider_hosts`, where keys are administered, and, where set, `.suffix` patterns.
        """
        further = self.providers.llama.further_hosts if self.providers.llama.enabled else ()
        return tuple(sorted({*self.provider_hosts, *self.key_administration_hosts, *further}))

    @property
    def key_administration_hosts(self) -> tuple[str, ...]:
        """Hosts outside AWS where the rotation of secrets makes and ends keys, sorted."""
        hosts = set()
        if self.providers.google.enabled:
            hosts.add(GOOGLE_IAM_HOST)
        if self.providers.llama.enabled and self.providers.llama.administration_host:
            hosts.add(self.providers.llama.administration_host)
        return tuple(sorted(hosts))

    @property
    def enabled_providers(self) -> tuple[str, ...]:
        """Names of the providers that may answer: bedrock, google, llama."""
        providers = self.providers
        enabled = {
            "bedrock": providers.bedrock.enabled,
            "google": providers.google.enabled,
            "llama": providers.llama.enabled,
        }
        return tuple(name for name, is_enabled in enabled.items() if is_enabled)

    @property
    def deregistration_delay_s(self) -> int:
        """Seconds the load balancer lets a leaving task finish before ECS stops it."""
        return self.scaling.drain_time_s

    @property
    def stop_timeout_s(self) -> int:
        """Seconds between SIGTERM and SIGKILL: the drain, and ten more to flush logs and exit."""
        return self.scaling.drain_time_s + 10

    @property
    def guardrail_profile(self) -> str:
        """Id of the cross-region guardrail profile that keeps judging in the region's part of the world."""
        return settings_rules.GUARDRAIL_PROFILES[self.deployment.region.split("-")[0]]


def load(path: Path, *, scaling: Mapping[str, object] | None = None) -> Environment:
    """Read one environment file and the guardrail policies it names.

    `scaling` takes the place of the file's own section: what the environment would be with another one.

    Raises:
        SettingsError: listing every mistake, of form and of meaning, at once.
    """
    document = _read_toml(path)
    if scaling is not None:
        document = {**document, "scaling": scaling}
    values = {"name": path.stem, **well_formed_values(EnvironmentFile, document)}
    mistakes = [
        *_mistakes(path, findings_of(EnvironmentFile, document)),
        *_mistakes(path, settings_rules.findings(values)),
        *_mistakes(path, _missing_files(path.parent, values)),
    ]
    policy_file = _policy_file(path.parent, values)
    policies: Mapping[str, object] = {"domains": {}}
    if policy_file is not None:
        try:
            policies = _read_toml(policy_file)
            mistakes += _mistakes(policy_file, findings_of(GuardrailPolicySet, policies))
        except SettingsError as error:
            mistakes += error.mistakes
    if mistakes:
        raise SettingsError(mistakes)
    complete = {**document, "name": path.stem, "guardrail_policies": policies["domains"]}
    return Environment.model_validate_json(as_json(complete))


def environment_names(folder: Path) -> tuple[str, ...]:
    """Names of the environments that have a file in `folder`, sorted."""
    return tuple(sorted(file.stem for file in folder.glob("*.toml")))


def _read_toml(path: Path) -> Mapping[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        available = ", ".join(environment_names(path.parent)) or "none"
        raise _unreadable(path, "there is no such file", f"use one of: {available}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _unreadable(path, f"it is no TOML: {error}", "correct the syntax at that place") from error
    except OSError as error:
        raise _unreadable(path, f"it cannot be read: {error.strerror}", "make it a readable file") from error


def _unreadable(path: Path, reason: str, remedy: str) -> SettingsError:
    return SettingsError([Mistake(file=path, key="(file)", value=path.stem, reason=reason, remedy=remedy)])


def _mistakes(file: Path, findings: Iterable[Finding]) -> list[Mistake]:
    return [
        Mistake(file=file, key=finding.key, value=finding.value, reason=finding.reason, remedy=finding.remedy)
        for finding in findings
    ]


_NAMED_FILES = {"routing.route_set": "route-sets", "guardrails.policy_set": "guardrails"}


def _missing_files(folder: Path, values: Mapping[str, object]) -> Iterator[Finding]:
    for key, subfolder in _NAMED_FILES.items():
        if key in values and not (folder / subfolder / f"{values[key]}.toml").is_file():
            available = ", ".join(environment_names(folder / subfolder)) or "none yet"
            yield Finding(
                key=key,
                value=values[key],
                reason=f"there is no file {values[key]}.toml in {folder / subfolder}",
                remedy=f"use one of: {available}",
            )


def _policy_file(folder: Path, values: Mapping[str, object]) -> Path | None:
    key = "guardrails.policy_set"
    file = folder / _NAMED_FILES[key] / f"{values.get(key)}.toml"
    return file if file.is_file() else None


if __name__ == "__main__":
    from stacks.settings_command import main

    sys.exit(main(sys.argv[1:]))
