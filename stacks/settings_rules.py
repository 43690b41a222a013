"""What must hold between settings.

A rule names the dotted keys it reads and gets their values, in that order; it runs wherever all of
them are well-formed, so one malformed setting hides no other mistake.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from stacks import settings_flags, settings_residency
from stacks.settings_errors import Finding
from stacks.settings_firewall import Firewall
from stacks.settings_providers import Bedrock, Google, Llama
from stacks.settings_rotation import (
    keys_may_grow_older_than_their_interval,
    old_keys_end_before_the_next_rotation,
)
from stacks.settings_scaling import ScheduledFloor
from stacks.settings_web_firewall import WebFirewall

PRODUCTION = "production"

_LONGEST_NAME = 14
"""`ai-orchestration-<name>-<domain>` is a guardrail's name and has 50 characters at most."""

GUARDRAIL_PROFILES = {"eu": "eu.guardrail.v1:0", "us": "us.guardrail.v1:0", "ap": "apac.guardrail.v1:0"}
"""Guardrail profiles by the first part of the region, https://docs.aws.amazon.com/bedrock/latest/userguide/guardrails-cross-region-support.html"""

_PARTITIONS = {"cn": "aws-cn", "eusc": "aws-eusc"}
"""Partitions other than `aws` by the first part of their regions."""

_GIB = 1024
FARGATE_MEMORY_MIB: Mapping[int, tuple[int, ...]] = {
    256: (512, 1024, 2048),
    512: tuple(range(1 * _GIB, 4 * _GIB + 1, _GIB)),
    1024: tuple(range(2 * _GIB, 8 * _GIB + 1, _GIB)),
    2048: tuple(range(4 * _GIB, 16 * _GIB + 1, _GIB)),
    4096: tuple(range(8 * _GIB, 30 * _GIB + 1, _GIB)),
    8192: tuple(range(16 * _GIB, 60 * _GIB + 1, 4 * _GIB)),
    16384: tuple(range(32 * _GIB, 120 * _GIB + 1, 8 * _GIB)),
}
"""Memory for each CPU size, https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html"""


@dataclass(frozen=True)
class Rule:
    """A check and the dotted keys whose values it takes, in order."""

    keys: tuple[str, ...]
    check: Callable[..., Iterator[Finding]]


def findings(values: Mapping[str, object]) -> Iterator[Finding]:
    """Everything the rules object to.

    `values` maps the dotted keys that are well-formed to their values; `name` is the environment's.
    """
    for rule in _RULES:
        if all(key in values for key in rule.keys):
            yield from rule.check(*(values[key] for key in rule.keys))


def _name_fits_into_other_names(name: str) -> Iterator[Finding]:
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name) or len(name) > _LONGEST_NAME:
        yield Finding(
            key="(file)",
            value=name,
            reason="names of stacks, parameters and guardrails are made from the file's name",
            remedy=f"use at most {_LONGEST_NAME} lower-case letters, digits and single hyphens",
        )


def _zones_belong_to_region(region: str, zones: tuple[str, ...]) -> Iterator[Finding]:
    remedy = (
        f"name two or three different zones of the region: {', '.join(region + letter for letter in 'abc')}"
    )
    key = "deployment.availability_zones"
    for position, zone in enumerate(zones):
        if not (zone.startswith(region) and len(zone) == len(region) + 1 and zone[-1].isalpha()):
            yield Finding(
                key=f"{key}.{position}", value=zone, reason=f"it is no zone of {region}", remedy=remedy
            )
    if len(set(zones)) < len(zones):
        yield Finding(key=key, value=zones, reason="a zone is named twice", remedy=remedy)


def _region_has_a_guardrail_profile(region: str) -> Iterator[Finding]:
    if region.split("-")[0] not in GUARDRAIL_PROFILES:
        yield Finding(
            key="deployment.region",
            value=region,
            reason="Bedrock has no guardrail profile of the standard tier for it",
            remedy=f"use a region that starts with one of {', '.join(GUARDRAIL_PROFILES)}",
        )


def _production_is_protected(name: str, stateful_protection: bool) -> Iterator[Finding]:
    if name == PRODUCTION and not stateful_protection:
        yield Finding(
            key="deployment.stateful_protection",
            value=stateful_protection,
            reason="production data could be deleted with a stack",
            remedy="set it to true",
        )


def _nat_gateways_fit_zones(name: str, nat_gateways: int, zones: tuple[str, ...]) -> Iterator[Finding]:
    key = "network.nat_gateways"
    if nat_gateways > len(zones):
        yield Finding(
            key=key,
            value=nat_gateways,
            reason=f"there are only {len(zones)} zones to put them in",
            remedy=f"use at most {len(zones)}, or name more zones in deployment.availability_zones",
        )
    elif name == PRODUCTION and nat_gateways < len(zones):
        yield Finding(
            key=key,
            value=nat_gateways,
            reason="in production the loss of one zone must not cut off the others",
            remedy=f"use one per zone: {len(zones)}",
        )


def _firewall_has_a_nat_gateway_in_every_zone(
    firewall: Firewall, nat_gateways: int, zones: tuple[str, ...]
) -> Iterator[Finding]:
    if firewall.enabled and nat_gateways < len(zones):
        yield Finding(
            key="network.nat_gateways",
            value=nat_gateways,
            reason="a firewall sees both directions of a connection only where each zone has its own way out",
            remedy=f"use one per zone: {len(zones)}, or set network.firewall.enabled = false",
        )


def _production_is_behind_the_firewall(name: str, firewall: Firewall) -> Iterator[Finding]:
    if name == PRODUCTION and not firewall.enabled:
        yield Finding(
            key="network.firewall.enabled",
            value=firewall.enabled,
            reason="in production nothing but the providers' hosts may be reached",
            remedy="set it to true; alert_only = true lets everything pass for the first week",
        )


def _maximum_not_below_minimum(minimum: int, maximum: int) -> Iterator[Finding]:
    if maximum < minimum:
        yield Finding(
            key="scaling.tasks_maximum",
            value=maximum,
            reason=f"it is below scaling.tasks_minimum = {minimum}",
            remedy=f"use at least {minimum}, or lower scaling.tasks_minimum",
        )


def _production_has_a_task_in_every_zone(
    name: str, minimum: int, zones: tuple[str, ...]
) -> Iterator[Finding]:
    if name == PRODUCTION and minimum < len(zones):
        yield Finding(
            key="scaling.tasks_minimum",
            value=minimum,
            reason="in production a task, or a zone, may fail and the others must be there already",
            remedy=f"use at least one per zone: {len(zones)}",
        )


def _memory_fits_cpu(cpu_units: int, memory_mib: int) -> Iterator[Finding]:
    offered = FARGATE_MEMORY_MIB[cpu_units]
    if memory_mib not in offered:
        yield Finding(
            key="scaling.task_memory_mib",
            value=memory_mib,
            reason=f"Fargate does not offer it with {cpu_units} CPU units",
            remedy=f"use one of {', '.join(map(str, offered))}",
        )


def _steps_down_are_slower(scale_out_s: int, scale_in_s: int) -> Iterator[Finding]:
    if scale_in_s < scale_out_s:
        yield Finding(
            key="scaling.scale_in_cooldown_s",
            value=scale_in_s,
            reason=f"steps down would come faster than steps up ({scale_out_s} s), and tasks would flap",
            remedy=f"use at least {scale_out_s}",
        )


def _floors_are_within_limits(
    floors: tuple[ScheduledFloor, ...], minimum: int, maximum: int
) -> Iterator[Finding]:
    if maximum < minimum:
        return
    for position, floor in enumerate(floors):
        if not minimum <= floor.tasks_minimum <= maximum:
            yield Finding(
                key=f"scaling.scheduled_floors.{position}.tasks_minimum",
                value=floor.tasks_minimum,
                reason="a floor must lie between scaling.tasks_minimum and scaling.tasks_maximum",
                remedy=f"use {minimum} to {maximum}",
            )
    if floors and all(floor.tasks_minimum > minimum for floor in floors):
        yield Finding(
            key="scaling.scheduled_floors",
            value=[floor.name for floor in floors],
            reason="nothing lowers the floor again: it stays raised for ever",
            remedy=f"add a floor with tasks_minimum = {minimum} at the time it should end",
        )


def _floors_are_well_named(floors: tuple[ScheduledFloor, ...]) -> Iterator[Finding]:
    names = [floor.name for floor in floors]
    for position, floor in enumerate(floors):
        at = f"scaling.scheduled_floors.{position}"
        if floor.name in names[:position]:
            yield Finding(
                key=f"{at}.name",
                value=floor.name,
                reason="another floor has this name",
                remedy="give each floor its own name",
            )


def _certificate_is_in_region(certificate_arn: str | None, region: str) -> Iterator[Finding]:
    if certificate_arn and certificate_arn.split(":")[3] != region:
        yield Finding(
            key="gateway.certificate_arn",
            value=certificate_arn,
            reason=f"a load balancer in {region} can only use a certificate of its own region",
            remedy=f"request or import the certificate in {region}",
        )


def _an_address_may_do_what_a_key_may(web_firewall: WebFirewall) -> Iterator[Finding]:
    of_a_key = web_firewall.requests_per_key_per_minute
    if web_firewall.requests_per_address_per_minute < of_a_key:
        yield Finding(
            key="gateway.web_firewall.requests_per_address_per_minute",
            value=web_firewall.requests_per_address_per_minute,
            reason="a key that is used from one address would never reach its own limit",
            remedy=f"use at least requests_per_key_per_minute: {of_a_key}",
        )


def _bedrock_role_can_be_assumed(region: str, bedrock: Bedrock) -> Iterator[Finding]:
    partition = _PARTITIONS.get(region.split("-")[0], "aws") if "gov" not in region else "aws-us-gov"
    if bedrock.role_arn and bedrock.role_arn.split(":")[1] != partition:
        yield Finding(
            key="providers.bedrock.role_arn",
            value=bedrock.role_arn,
            reason=f"{region} is in the partition {partition}, and roles cannot be assumed across partitions",
            remedy=f"name a role whose ARN begins with arn:{partition}:",
        )
    if bedrock.external_id and not bedrock.role_arn:
        yield Finding(
            key="providers.bedrock.external_id",
            value=bedrock.external_id,
            reason="there is no role that would be assumed with it",
            remedy="set providers.bedrock.role_arn as well, or leave it out",
        )


def _google_is_complete(google: Google) -> Iterator[Finding]:
    if google.enabled and not google.project:
        yield Finding(
            key="providers.google.project",
            value=google.project,
            reason="Google is enabled and the address of a model contains the project",
            remedy="set the Google Cloud project id, or providers.google.enabled = false",
        )


def _llama_is_complete(llama: Llama) -> Iterator[Finding]:
    if llama.enabled and not llama.base_url:
        yield Finding(
            key="providers.llama.base_url",
            value=llama.base_url,
            reason="the Llama endpoint is enabled and has no address",
            remedy="set it, e.g. https://llama.example.com/v1, or providers.llama.enabled = false",
        )


def _keys_are_administered_for_an_enabled_endpoint(llama: Llama) -> Iterator[Finding]:
    if llama.key_administration_url and not llama.enabled:
        yield Finding(
            key="providers.llama.key_administration_url",
            value=llama.key_administration_url,
            reason="the Llama endpoint is disabled, so it has no key to administer",
            remedy="remove it, or set providers.llama.enabled = true",
        )


def _somebody_answers(bedrock: Bedrock, google: Google, llama: Llama) -> Iterator[Finding]:
    if not (bedrock.enabled or google.enabled or llama.enabled):
        yield Finding(
            key="providers",
            value="all disabled",
            reason="no request could be answered",
            remedy="enable at least one of providers.bedrock, providers.google, providers.llama",
        )


def _cpu_alarm_is_above_target(alarm_percent: int, target_percent: int) -> Iterator[Finding]:
    if alarm_percent <= target_percent:
        yield Finding(
            key="monitoring.cpu_alarm_percent",
            value=alarm_percent,
            reason=f"scaling aims at {target_percent} %, so the alarm would fire all the time",
            remedy=f"use more than {target_percent}",
        )


_RULES = (
    Rule(("name",), _name_fits_into_other_names),
    Rule(("deployment.region", "deployment.availability_zones"), _zones_belong_to_region),
    Rule(("deployment.eu_only", "deployment.region"), settings_residency.region_is_in_the_eu),
    Rule(("deployment.region",), _region_has_a_guardrail_profile),
    Rule(("name", "deployment.stateful_protection"), _production_is_protected),
    Rule(("name", "network.nat_gateways", "deployment.availability_zones"), _nat_gateways_fit_zones),
    Rule(
        ("network.firewall", "network.nat_gateways", "deployment.availability_zones"),
        _firewall_has_a_nat_gateway_in_every_zone,
    ),
    Rule(("name", "network.firewall"), _production_is_behind_the_firewall),
    Rule(("scaling.tasks_minimum", "scaling.tasks_maximum"), _maximum_not_below_minimum),
    Rule(
        ("name", "scaling.tasks_minimum", "deployment.availability_zones"),
        _production_has_a_task_in_every_zone,
    ),
    Rule(("scaling.task_cpu_units", "scaling.task_memory_mib"), _memory_fits_cpu),
    Rule(("scaling.scale_out_cooldown_s", "scaling.scale_in_cooldown_s"), _steps_down_are_slower),
    Rule(
        ("scaling.scheduled_floors", "scaling.tasks_minimum", "scaling.tasks_maximum"),
        _floors_are_within_limits,
    ),
    Rule(("scaling.scheduled_floors",), _floors_are_well_named),
    Rule(("gateway.certificate_arn", "deployment.region"), _certificate_is_in_region),
    Rule(("gateway.web_firewall",), _an_address_may_do_what_a_key_may),
    Rule(("deployment.region", "providers.bedrock"), _bedrock_role_can_be_assumed),
    Rule(("providers.google",), _google_is_complete),
    Rule(("deployment.eu_only", "providers.google"), settings_residency.google_processes_in_the_eu),
    Rule(("providers.llama",), _llama_is_complete),
    Rule(("providers.llama",), _keys_are_administered_for_an_enabled_endpoint),
    Rule(("deployment.eu_only", "providers.llama"), settings_residency.llama_processes_in_the_eu),
    Rule(("providers.bedrock", "providers.google", "providers.llama"), _somebody_answers),
    Rule(("secrets.rotation",), old_keys_end_before_the_next_rotation),
    Rule(("secrets.rotation",), keys_may_grow_older_than_their_interval),
    Rule(
        ("flags.database_minimum_capacity", "flags.database_maximum_capacity"),
        settings_flags.maximum_not_below_minimum,
    ),
    Rule(
        ("flags.database", "flags.database_instances", "deployment.availability_zones"),
        settings_flags.instances_fit_zones,
    ),
    Rule(("flags.database", "deployment.region"), settings_flags.region_has_roots),
    Rule(("name", "flags.database", "flags.database_instances"), settings_flags.production_survives_a_zone),
    Rule(("monitoring.cpu_alarm_percent", "scaling.cpu_target_percent"), _cpu_alarm_is_above_target),
)
