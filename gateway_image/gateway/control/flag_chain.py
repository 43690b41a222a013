"""Which value each flag has, from what the tiers last said. Pure: what was read and the clocks come in.

A replica keeps of every tier what it last said of each flag that could be read. That a tier is lost, or says
nothing usable any more, takes nothing of it away; only the time since it was confirmed grows.

* Ordinary flags: the first tier wins whose word was confirmed within `stale_after_s`. A later tier goes
  before it only with a newer change, first seen after the earlier one was last heard. Where nothing is
  confirmed any more, `when_stale` decides.
* Switches: the newest change wins that this replica ever saw in any tier; of two at the same moment, `on`.
  This is a maximum, so no order, loss or repetition of reads can make a difference. Only where moments lie
  ahead of this replica's clock it may; then `on` wins unless `off` is newer by either way to tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import msgspec

from gateway.control.flag_declaration import FlagDeclaration, FlagValueError, Kind, Value, WhenStale
from gateway.control.flag_declarations import DECLARATIONS
from gateway.control.flag_tiers import DEFAULT, FlagRecord

AHEAD_MS = 60_000
"""How far clocks may differ; a moment that lies further ahead says nothing about what came first."""


class Moment(msgspec.Struct, frozen=True):
    """Now, by the clock that only goes forward (s) and by the calendar (ms since 1970 UTC)."""

    monotonic_s: float
    wall_ms: int


class Held(msgspec.Struct, frozen=True):
    """The last good word of one tier on one flag.

    `changed_ms` is when the flag was changed as far as it is believed: not later than it was first seen here.
    `seen_at_s` is when this replica first read it, `confirmed_at_s` when it last did.
    """

    record: FlagRecord
    value: Value
    changed_ms: int
    seen_at_s: float
    confirmed_at_s: float


class TierView(msgspec.Struct, frozen=True):
    """What is known of one tier: `said` at its last read that succeeded, and `held` of all its reads.

    `answering` tells whether its last read succeeded.
    """

    tier: str
    said: Mapping[str, FlagRecord] = {}
    held: Mapping[str, Held] = {}
    read_at_s: float | None = None
    answering: bool = False


class FlagAnswer(msgspec.Struct, frozen=True):
    """The value in force, the tier it comes from, and when that last confirmed it; None for defaults."""

    value: Value
    tier: str = DEFAULT
    confirmed_at_s: float | None = None
    changed_at_ms: int | None = None


def absorb(
    before: TierView,
    records: Mapping[str, FlagRecord],
    now: Moment,
    declarations: Sequence[FlagDeclaration] = DECLARATIONS,
) -> tuple[TierView, tuple[str, ...]]:
    """What is known of a tier after it said `records`, and what is wrong with these."""
    problems = list(_unknown(before.tier, records.keys(), declarations))
    held = dict(before.held)
    for declaration in declarations:
        name = declaration.name
        kept, record = before.held.get(name), records.get(name)
        if record is None:
            problems += _gone(declaration, before.tier, kept)
            continue
        try:
            value = declaration.parse(record.value)
        except FlagValueError as error:
            problems.append(f"{error} in tier {before.tier}; {_instead(declaration, kept)}")
            continue
        held[name], problem = _newer(declaration, kept, _heard(kept, record, value, now))
        problems += problem
    said = {each.name: records[each.name] for each in declarations if each.name in records}
    view = TierView(before.tier, MappingProxyType(said), MappingProxyType(held), now.monotonic_s, True)
    return view, tuple(problems)


def resolve(
    views: Sequence[TierView], now_s: float, declarations: Sequence[FlagDeclaration] = DECLARATIONS
) -> Mapping[str, FlagAnswer]:
    """Flag name → its answer, from the tiers in their order. `now_s` is a time of the forward clock."""
    return MappingProxyType({each.name: _answer(each, views, now_s) for each in declarations})


def built_in(declarations: Iterable[FlagDeclaration] = DECLARATIONS) -> Mapping[str, FlagAnswer]:
    """What holds where no tier was ever read."""
    return MappingProxyType({each.name: FlagAnswer(each.default_value) for each in declarations})


def _answer(declaration: FlagDeclaration, views: Sequence[TierView], now_s: float) -> FlagAnswer:
    name = declaration.name
    words = [(view, view.held[name]) for view in views if name in view.held]
    if declaration.kind is Kind.SWITCH:
        if not words:
            return _switch_without_word(declaration, views)
        view, held = _newest(words)
    else:
        fresh = [word for word in words if now_s - word[1].confirmed_at_s < declaration.stale_after_s]
        if fresh:
            view, held = _first_unless_overtaken(fresh)
        elif words and declaration.when_stale is WhenStale.KEEP:
            view, held = max(words, key=lambda word: word[1].confirmed_at_s)
        else:
            return FlagAnswer(declaration.default_value)
    tier, confirmed_at_s = _who_confirms(name, views, view, held)
    return FlagAnswer(held.value, tier, confirmed_at_s, held.record.changed_at_ms)


def _first_unless_overtaken(words: Sequence[tuple[TierView, Held]]) -> tuple[TierView, Held]:
    """The first word, or that of a later tier on a change that the tiers before it cannot have told yet."""
    chosen = words[0]
    for word in words[1:]:
        newer = word[1].changed_ms > chosen[1].changed_ms
        if newer and word[1].seen_at_s > chosen[1].confirmed_at_s:
            chosen = word
    return chosen


def _switch_without_word(declaration: FlagDeclaration, views: Sequence[TierView]) -> FlagAnswer:
    """Nobody ever said anything readable: on where somebody meant to touch it, else as declared."""
    for view in views:
        if declaration.name in view.said:
            return FlagAnswer(True, view.tier, view.read_at_s)
    return FlagAnswer(declaration.default_value)


def _who_confirms(
    name: str, views: Sequence[TierView], chosen: TierView, held: Held
) -> tuple[str, float | None]:
    """Tier and time of the chosen word; where its tier says it no more, of one that says the same now."""
    if not _says_now(chosen, held):
        for view in views:
            other = view.held.get(name)
            if other is not None and other.value == held.value and _says_now(view, other):
                return view.tier, other.confirmed_at_s
    return chosen.tier, held.confirmed_at_s


def _says_now(view: TierView, held: Held) -> bool:
    return view.answering and held.confirmed_at_s == view.read_at_s


def _heard(kept: Held | None, record: FlagRecord, value: Value, now: Moment) -> Held:
    if kept is not None and kept.record == record:
        return msgspec.structs.replace(kept, confirmed_at_s=now.monotonic_s)
    return Held(record, value, _believed_ms(record, value, now), now.monotonic_s, now.monotonic_s)


def _believed_ms(record: FlagRecord, value: Value, now: Moment) -> int:
    """When a record was changed. A clock that runs ahead must not win over changes that are made after it.

    A switch that is put on without a moment is meant now; one that is put off without one was old already.
    """
    if record.changed_at_ms <= 0:
        return now.wall_ms if value is True else 0
    return min(record.changed_at_ms, now.wall_ms)


def _newer(declaration: FlagDeclaration, kept: Held | None, heard: Held) -> tuple[Held, tuple[str, ...]]:
    """A switch never goes back in time; everything else is what the tier says now."""
    if declaration.kind is not Kind.SWITCH or kept is None or _counts_after(heard, kept):
        return heard, ()
    if kept.value == heard.value:
        return msgspec.structs.replace(kept, confirmed_at_s=heard.confirmed_at_s), ()
    text, in_force = declaration.text_of(heard.value), declaration.text_of(kept.value)
    problem = (
        f"flag {declaration.name} is {text} with the moment {heard.record.changed_at_ms}, not after that of "
        f"{in_force}, {kept.record.changed_at_ms}; it stays {in_force} until it is put with a newer one"
    )
    return kept, (problem,)


def _newest(words: Sequence[tuple[TierView, Held]]) -> tuple[TierView, Held]:
    """Switches go by their moment: off where it ends whatever turned the switch on."""
    on = [word for word in words if word[1].value is True]
    off = [word for word in words if word[1].value is False and all(_ends(word[1], kill[1]) for kill in on)]
    return max(off or on, key=lambda word: _order(word[1]))


def _counts_after(heard: Held, kept: Held) -> bool:
    """Whether of two words of one tier on a switch the later one is the newer change."""
    if heard.value == kept.value:
        return _order(heard) >= _order(kept)
    return not _ends(kept, heard) if heard.value is True else _ends(heard, kept)


def _ends(off: Held, on: Held) -> bool:
    """Whether an off is newer than an on; at the same moment it is not.

    Two moments ahead of this replica's clock are believed to be that of the first look, whichever came first.
    So the moments that the records themselves tell must agree.
    """
    return off.changed_ms > on.changed_ms and _told_ms(off) > _told_ms(on)


def _told_ms(held: Held) -> int:
    told_ms = held.record.changed_at_ms
    return told_ms if 0 < told_ms <= held.changed_ms + AHEAD_MS else held.changed_ms


def _order(held: Held) -> tuple[int, int]:
    return held.changed_ms, _told_ms(held)


def _gone(declaration: FlagDeclaration, tier: str, kept: Held | None) -> tuple[str, ...]:
    if kept is None or kept.value == declaration.default_value:
        return ()
    text = declaration.text_of(kept.value)
    return (f"flag {declaration.name} is gone from tier {tier}; it stays {text} until it is put again",)


def _instead(declaration: FlagDeclaration, kept: Held | None) -> str:
    if kept is not None:
        return f"{declaration.text_of(kept.value)} is in force"
    if declaration.kind is Kind.SWITCH:
        return "on is in force unless another tier says off"
    return f"{declaration.default} is in force unless another tier says otherwise"


def _unknown(tier: str, names: Iterable[str], declarations: Sequence[FlagDeclaration]) -> Iterable[str]:
    known = [each.name for each in declarations]
    for name in sorted(set(names) - set(known)):
        yield f"flag {name[:100]!r} of tier {tier} is none of {', '.join(known)}; it does nothing"
