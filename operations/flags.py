"""Flags: what is in force by the rules that replicas go by, what each tier says, and changing one.

The third tier, the database, is in the network and is not asked from here.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator, Mapping

from botocore.exceptions import BotoCoreError, ClientError

from gateway.control.flag_chain import Moment, TierView, absorb, resolve
from gateway.control.flag_declarations import DECLARATIONS, expired
from gateway.control.flag_tiers import FlagRecord, FlagTier, ParameterTier, TableTier
from operations.environment import Account
from operations.errors import DONE, REFUSED, explained
from operations.stores import FLAGS, flag_writer, operator
from operations.table_output import moment_of_ms, table

HEADINGS = ("flag", "in force", "from", "parameter", "table", "changed", "by", "why")


def list_flags(account: Account, today: datetime.date) -> int:
    """A line for each flag; 1 where a tier does not answer or says something that cannot be used."""
    views: list[TierView] = []
    complaints: list[str] = []
    for tier in _tiers(account):
        view, problems = _read(tier, account.name)
        views.append(view)
        complaints += problems
    print(table(HEADINGS, list(_rows(views))))
    for complaint in complaints:
        print(f"wrong: {complaint}")
    for reminder in expired(today):
        print(f"note: {reminder}")
    return REFUSED if complaints else DONE


def set_flag(account: Account, flag: str, value: str, why: str) -> int:
    """Change one flag; sequences and their evidence are judged."""
    made = flag_writer(account).set(flag, value, operator(account, why))
    print(f"{made.flag}: {made.before or '(nothing)'} → {made.after}")
    return tell_failed(made.failed)


def tell_failed(failed: Mapping[str, str]) -> int:
    """Say which stores did not take a change that is in force all the same."""
    for store, problem in failed.items():
        print(f"wrong: {store} did not take it: {problem}")
    return REFUSED if failed else DONE


def _tiers(account: Account) -> Iterator[FlagTier]:
    yield ParameterTier(account.ssm, account.flag_path)
    yield TableTier(account.dynamodb, account.output(FLAGS, "FlagTableName"))


def _read(tier: FlagTier, environment: str) -> tuple[TierView, tuple[str, ...]]:
    now = Moment(time.monotonic(), time.time_ns() // 1_000_000)
    try:
        return absorb(TierView(tier.name), tier.read(), now)
    except (BotoCoreError, ClientError) as error:
        return TierView(tier.name), (f"tier {tier.name}: {explained(error, environment)}",)


def _rows(views: list[TierView]) -> Iterator[tuple[object, ...]]:
    answers = resolve(views, time.monotonic())
    for declaration in DECLARATIONS:
        name = declaration.name
        answer = answers[name]
        said = {view.tier: view.said.get(name) for view in views}
        newest = max(
            (each for each in said.values() if each is not None),
            key=lambda record: (record.changed_at_ms, bool(record.changed_by)),
            default=FlagRecord("", 0),
        )
        yield (
            name,
            declaration.text_of(answer.value),
            answer.tier,
            *(record.value if record is not None else "" for record in said.values()),
            moment_of_ms(newest.changed_at_ms),
            newest.changed_by,
            newest.why,
        )
