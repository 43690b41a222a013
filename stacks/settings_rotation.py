"""How long keys and credentials live, and how long an old one goes on beside its successor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import Field

from stacks.settings_errors import Finding
from stacks.settings_section import Section

LONGEST_INTERVAL_DAYS = 1000
"""https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotationRulesType.html"""

HOURS_A_DAY = 24


class Rotation(Section):
    """When secrets rotate by themselves. 0 days: never, a person puts each key."""

    client_keys_days: int = Field(
        ge=0,
        le=LONGEST_INTERVAL_DAYS,
        description="Days between two keys that applications call the gateway with. The one before goes on "
        "for overlap_hours: every application must read the secret again within that time. 0: a person "
        "puts each key.",
    )
    admin_keys_days: int = Field(
        ge=0,
        le=LONGEST_INTERVAL_DAYS,
        description="Days between two keys that operators administer the gateway with; the one before goes "
        "on for overlap_hours. 0: a person puts each key.",
    )
    google_days: int = Field(
        ge=0,
        le=LONGEST_INTERVAL_DAYS,
        description="Days between two keys of Google's service account, which must be allowed to make and "
        "delete its own keys (roles/iam.serviceAccountKeyAdmin on itself). 0: a person puts each key.",
    )
    llama_days: int = Field(
        ge=0,
        le=LONGEST_INTERVAL_DAYS,
        description="Days between two keys of the Llama endpoint, where providers.llama."
        "key_administration_url is set; without it a person puts each key. 0: a person puts each key.",
    )
    overlap_hours: int = Field(
        ge=1,
        le=8760,
        description="Hours that the previous client or admin key is still accepted. Shorter than the days "
        "between two keys, or a third one would cut it off early.",
    )
    grace_hours: int = Field(
        ge=1,
        le=8760,
        description="Hours that a provider's previous key lives on after its successor was promoted. Longer "
        "than the gateway takes to take a key up, which is a minute; shorter than the days between two keys.",
    )
    maximum_age_days: int = Field(
        ge=1,
        le=LONGEST_INTERVAL_DAYS,
        description="Age of a secret's value above which an alarm fires; for keys that people set as well. "
        "More than the days between two keys, with time left for a rotation that fails and is asked for "
        "again.",
    )

    @property
    def interval_days(self) -> Mapping[str, int]:
        """Days between two keys by the name of their setting."""
        return {
            "client_keys_days": self.client_keys_days,
            "admin_keys_days": self.admin_keys_days,
            "google_days": self.google_days,
            "llama_days": self.llama_days,
        }


class Secrets(Section):
    """Keys and credentials."""

    rotation: Rotation = Field(description="When keys are replaced, and how the old ones end.")


def old_keys_end_before_the_next_rotation(rotation: Rotation) -> Iterator[Finding]:
    """The overlap and the grace period are shorter than each interval that they belong to."""
    for setting, names in (
        ("overlap_hours", ("client_keys_days", "admin_keys_days")),
        ("grace_hours", ("google_days", "llama_days")),
    ):
        intervals = {name: rotation.interval_days[name] for name in names if rotation.interval_days[name]}
        hours = getattr(rotation, setting)
        if not intervals or hours < min(intervals.values()) * HOURS_A_DAY:
            continue
        shortest = min(intervals, key=intervals.__getitem__)
        yield Finding(
            key=f"secrets.rotation.{setting}",
            value=hours,
            reason=f"the next rotation would come before the old key ends: {shortest} = "
            f"{intervals[shortest]}, which is {intervals[shortest] * HOURS_A_DAY} hours",
            remedy=f"use less than {intervals[shortest] * HOURS_A_DAY}, or more {shortest}",
        )


def keys_may_grow_older_than_their_interval(rotation: Rotation) -> Iterator[Finding]:
    """The alarm leaves every key the time to reach its own rotation."""
    longest = max(rotation.interval_days, key=rotation.interval_days.__getitem__)
    days = rotation.interval_days[longest]
    if rotation.maximum_age_days <= days:
        yield Finding(
            key="secrets.rotation.maximum_age_days",
            value=rotation.maximum_age_days,
            reason=f"a key reaches this age before it rotates ({longest} = {days}), so the alarm would fire "
            "at every rotation",
            remedy=f"use more than {days}",
        )
