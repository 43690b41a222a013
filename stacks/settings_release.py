"""How a new version of the gateway replaces the one that runs."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from stacks.settings_section import Section

SHORTEST_WATCH_MINUTES = 5
"""A deployment alarm looks at three minutes, and their metrics are up to two minutes late."""


class ReleaseStrategy(StrEnum):
    """How ECS moves callers from old tasks to new ones."""

    ROLLING = "rolling"
    CANARY = "canary"
    BLUE_GREEN = "blue_green"

    @property
    def shifts_traffic(self) -> bool:
        """Whether old and new tasks have a target group each, and a smoke test before traffic moves."""
        return self is not ReleaseStrategy.ROLLING


class Release(Section):
    """How a new version of the gateway replaces the one that runs.

    Every strategy rolls back by itself when new tasks do not start, or an alarm of the deployment fires.
    """

    strategy: ReleaseStrategy = Field(
        default=ReleaseStrategy.ROLLING,
        description="rolling replaces tasks a few at a time. canary and blue_green start all new tasks "
        "beside the old ones, smoke-test them, and then shift traffic: twice the tasks for a while. "
        "Read docs/runbooks/deployment.md before changing this in production: the way back needs care.",
    )
    canary_percent: int = Field(
        default=5, ge=1, le=50, description="Share of traffic that new tasks get first. Only for canary."
    )
    canary_minutes: int = Field(
        default=10,
        ge=SHORTEST_WATCH_MINUTES,
        le=1440,
        description="Minutes that the share is watched before all traffic follows. Only for canary.",
    )
    bake_minutes: int = Field(
        default=10,
        ge=SHORTEST_WATCH_MINUTES,
        le=1440,
        description="Minutes that old tasks stay after all traffic has left them, so that a rollback is "
        "immediate. For canary and blue_green; a rolling deployment is watched for as long as its alarms "
        "look back.",
    )
