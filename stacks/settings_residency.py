"""What `deployment.eu_only` demands: every place that processes a prompt is inside the EU."""

from __future__ import annotations

from collections.abc import Iterator

from stacks.settings_errors import Finding
from stacks.settings_providers import Google, Llama

EU_REGIONS = frozenset({"eu-central-1", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-3"})
"""AWS regions inside the EU. Not London (eu-west-2) and not Zurich (eu-central-2)."""

EU_VERTEX_LOCATIONS = frozenset(
    {
        "eu",
        *(f"europe-west{number}" for number in (1, 3, 4, 8, 9, 10, 12)),
        "europe-southwest1",
        "europe-north1",
        "europe-north2",
        "europe-central2",
    }
)
"""Vertex locations inside the EU. Not London (europe-west2) and not Zurich (europe-west6)."""


def region_is_in_the_eu(eu_only: bool, region: str) -> Iterator[Finding]:
    """Object to a region elsewhere."""
    if eu_only and region not in EU_REGIONS:
        yield Finding(
            key="deployment.region",
            value=region,
            reason="eu_only holds and this region is not inside the EU",
            remedy=f"use one of {', '.join(sorted(EU_REGIONS))}, or set deployment.eu_only = false",
        )


def google_processes_in_the_eu(eu_only: bool, google: Google) -> Iterator[Finding]:
    """Object to a Vertex location elsewhere, and to an endpoint that is not that location's own."""
    if not (eu_only and google.enabled):
        return
    if google.location not in EU_VERTEX_LOCATIONS:
        yield Finding(
            key="providers.google.location",
            value=google.location,
            reason="eu_only holds and this location is not inside the EU",
            remedy='use "eu" or a location such as europe-west4',
        )
        return
    hosts = (
        f"aiplatform.{google.location}.rep.googleapis.com",
        f"{google.location}-aiplatform.googleapis.com",
    )
    allowed = hosts[:1] if google.location == "eu" else hosts
    if google.host not in allowed:
        yield Finding(
            key="providers.google.base_url",
            value=google.base_url,
            reason=f"eu_only holds and this endpoint does not promise processing in {google.location}",
            remedy=f"use {' or '.join(f'https://{host}' for host in allowed)}",
        )


def llama_processes_in_the_eu(eu_only: bool, llama: Llama) -> Iterator[Finding]:
    """Object to an endpoint nobody vouches for."""
    if eu_only and llama.enabled and not llama.eu_processing:
        yield Finding(
            key="providers.llama.eu_processing",
            value=llama.eu_processing,
            reason=f"eu_only holds and nobody vouches that {llama.host or 'the endpoint'} is in the EU",
            remedy="set it to true once you have it in writing, or providers.llama.enabled = false",
        )
