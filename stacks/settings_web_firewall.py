"""What the load balancer's web firewall lets through."""

from __future__ import annotations

from pydantic import Field

from stacks.settings_section import Section

FEWEST_REQUESTS = 10
MOST_REQUESTS = 2_000_000_000
"""Limits of https://docs.aws.amazon.com/waf/latest/developerguide/waf-rule-statement-type-rate-based.html"""


class WebFirewall(Section):
    """AWS WAF on the load balancer. A coarse net: it counts over a minute and acts some ten seconds late."""

    requests_per_key_per_minute: int = Field(
        ge=FEWEST_REQUESTS,
        le=MOST_REQUESTS,
        description="Requests a minute with one Authorization header; above it the answer is 429. Keep it "
        "below what all tasks serve, tasks_maximum times requests_per_task_per_minute.",
    )
    requests_per_address_per_minute: int = Field(
        ge=FEWEST_REQUESTS,
        le=MOST_REQUESTS,
        description="Requests a minute from one IP address, with any keys or none; above it the answer is "
        "429. Stops the guessing of keys. Not below the limit of a key; callers behind one proxy share it.",
    )
    alert_only: bool = Field(
        default=False,
        description="Counts what it would block and lets it pass. For the first week of a rollout. Until it "
        "is false again nothing is blocked.",
    )
