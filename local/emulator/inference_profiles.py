"""Where Bedrock's EU inference profiles route to, as AWS publishes it.

Written down here apart from the stacks, which allow it: what is asked of a policy must not come from it.
https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html
"""

from __future__ import annotations

from collections.abc import Mapping

_EU = ("eu-central-1", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-3")

_DESTINATIONS: Mapping[str, tuple[str, ...]] = {
    "eu.anthropic.claude-haiku-4-5-20251001-v1:0": _EU,
    "eu.anthropic.claude-opus-4-5-20251101-v1:0": _EU,
    "eu.anthropic.claude-sonnet-4-20250514-v1:0": _EU,
    "eu.anthropic.claude-sonnet-4-5-20250929-v1:0": _EU,
    "eu.meta.llama3-2-1b-instruct-v1:0": ("eu-central-1", "eu-west-1", "eu-west-3"),
    "eu.meta.llama3-2-3b-instruct-v1:0": ("eu-central-1", "eu-west-1", "eu-west-3"),
}


def destinations(profile: str, region: str) -> tuple[str, ...]:
    """Regions whose model a request to `profile` may reach; none where `region` knows no such profile."""
    routed_to = _DESTINATIONS.get(profile, ())
    return routed_to if region in routed_to else ()
