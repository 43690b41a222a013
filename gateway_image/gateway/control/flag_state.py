"""What is told of flags: to operators, one state a flag, with what every tier says."""

from __future__ import annotations

import msgspec

from gateway.control.flag_declaration import FlagDeclaration, Value


class TierSaying(msgspec.Struct, frozen=True):
    """What one tier last said of a flag.

    `age_s` is the time since the tier last said so, seconds; `text` is None where it never said
    anything usable. `answering` tells whether its last read succeeded.
    """

    tier: str
    answering: bool
    text: str | None
    changed_at_ms: int | None
    changed_by: str
    why: str
    age_s: float | None


class FlagState(msgspec.Struct, frozen=True):
    """One flag as this replica obeys it.

    `value` is typed, `text` the same as the tiers hold it. `tier` says where it comes from (`parameter`,
    `table`, `database` or `default`) and `age_s` how long ago that tier last confirmed it, None for defaults.
    """

    name: str
    value: Value
    text: str
    tier: str
    age_s: float | None
    changed_at_ms: int | None
    declaration: FlagDeclaration
    tiers: tuple[TierSaying, ...]
