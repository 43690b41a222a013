"""What may leave the private network, and how that begins."""

from __future__ import annotations

from pydantic import Field

from stacks.settings_section import Section


class Firewall(Section):
    """What may leave the network: Network Firewall, and the mode that it shares with DNS Firewall."""

    enabled: bool = Field(
        description="Whether an AWS Network Firewall stands between the gateway and the internet, with an "
        "endpoint in every zone; it needs a NAT gateway in every zone. Must be true in production. The most "
        "expensive part of the network. Switching it moves the way out and cuts open connections once.",
    )
    alert_only: bool = Field(
        default=False,
        description="Both firewalls log what they would block and let it pass. For the first week of a "
        "rollout. Until it is false again the network "
        "enforces nothing.",
    )
