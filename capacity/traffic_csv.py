"""Traffic from a CSV file: `timestamp,requests_per_s,p50_ms` and, where known, `p95_ms`.

A row holds until the next one, so rows may be as coarse as an hour or finer than a minute, but must be evenly
spaced: a hole would be planned as if nothing had happened in it. Timestamps are ISO 8601
(`2026-11-16T08:00:00Z`, an offset, or none for UTC) or seconds since 1970.
"""

from __future__ import annotations

import csv
import datetime
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from capacity.errors import CapacityError
from capacity.traffic import TAIL_RATIO, Duration, Minute, Traffic

REQUIRED = ("timestamp", "requests_per_s", "p50_ms")
OPTIONAL = ("p95_ms",)
LONGEST = datetime.timedelta(days=31)
COARSEST = datetime.timedelta(hours=1)
MOST_BYTES = 16 * 1024 * 1024
HIGHEST_REQUESTS_PER_S = 1_000_000
SLOWEST_MS = 3_600_000

EXAMPLE = "timestamp,requests_per_s,p50_ms\n         2026-11-16T08:00:00Z,120,1500"


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    at: datetime.datetime
    minute: Minute


def read_traffic(file: Path) -> Traffic:
    """Read a file, check it, and resample it to whole minutes.

    Raises:
        CapacityError: for the first thing that is wrong, with its line.
    """
    rows = _evenly_spaced(file, _read_rows(file))
    start = rows[0].at.replace(second=0, microsecond=0)
    return Traffic(name=str(file), start=start, minutes=list(_resampled(rows, start)))


def _read_rows(file: Path) -> list[_Row]:
    try:
        if file.stat().st_size > MOST_BYTES:
            raise CapacityError(
                str(file),
                why=f"it has {file.stat().st_size // 2**20} MiB; a plan takes {LONGEST.days} days of minutes",
                fix="export one row a minute, or fewer days",
            )
        with file.open(encoding="utf-8-sig", newline="") as lines:
            return list(_parsed(file, lines))
    except OSError as error:
        raise CapacityError(
            str(file), why=f"it cannot be read: {error.strerror}", fix="give TRAFFIC an existing CSV file"
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise CapacityError(
            str(file), why=f"it is no CSV text: {error}", fix="save it as CSV, UTF-8"
        ) from error


def _parsed(file: Path, lines: Iterator[str]) -> Iterator[_Row]:
    reader = csv.reader(lines)
    header = [name.strip().lower() for name in next(reader, [])]
    _check_header(file, header)
    first: datetime.datetime | None = None
    for values in reader:
        if not any(value.strip() for value in values):
            continue
        row = _row(f"{file}:{reader.line_num}", reader.line_num, header, values)
        first = first or row.at
        if row.at - first > LONGEST:
            raise CapacityError(
                f"{file}:{reader.line_num}",
                why=f"it is more than {LONGEST.days} days after the first row",
                fix="give fewer days: a typical week and the worst one say more than a year",
            )
        yield row


def _check_header(file: Path, header: Sequence[str]) -> None:
    if len(header) == 1 and ";" in header[0]:
        raise CapacityError(
            str(file),
            why="its columns are separated by semicolons",
            fix="export it with commas between columns and points in numbers",
        )
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise CapacityError(
            str(file),
            why=f"the column {missing[0]} is missing; it has: {', '.join(header) or 'nothing'}",
            fix=f"name the columns in the first line: {EXAMPLE}",
        )
    repeated = [name for name in (*REQUIRED, *OPTIONAL) if header.count(name) > 1]
    if repeated:
        raise CapacityError(str(file), why=f"the column {repeated[0]} is there twice", fix="remove one")


def _row(place: str, line: int, header: Sequence[str], values: Sequence[str]) -> _Row:
    if len(values) < len(header):
        raise CapacityError(
            place, why=f"it has {len(values)} values for {len(header)} columns", fix="complete the row"
        )
    fields = dict(zip(header, (value.strip() for value in values), strict=False))
    at = _time(place, fields["timestamp"])
    rate = _number(place, "requests_per_s", fields["requests_per_s"], highest=HIGHEST_REQUESTS_PER_S)
    p50_ms = _number(place, "p50_ms", fields["p50_ms"], highest=SLOWEST_MS)
    if p50_ms == 0:
        if rate:
            raise CapacityError(
                f"{place}: p50_ms = 0", why="requests that take no time", fix="give their median duration"
            )
        p50_ms = 1.0  # nothing was asked, so nothing was measured
    p95_ms = TAIL_RATIO * p50_ms
    if fields.get("p95_ms"):
        p95_ms = _number(place, "p95_ms", fields["p95_ms"], highest=SLOWEST_MS)
    if rate and p95_ms < p50_ms:
        raise CapacityError(
            f"{place}: p95_ms = {p95_ms:g}",
            why=f"a 95th percentile is not below the median, {p50_ms:g}",
            fix="check whether the columns are swapped",
        )
    return _Row(line, at, Minute(rate, Duration(p50_ms, max(p50_ms, p95_ms))))


def _time(place: str, text: str) -> datetime.datetime:
    try:
        if text.isdigit():
            return datetime.datetime.fromtimestamp(int(text), tz=datetime.UTC)
        at = datetime.datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError) as error:
        raise CapacityError(
            f"{place}: timestamp = {text or '(empty)'}",
            why="it is no time",
            fix="write 2026-11-16T08:00:00Z, or seconds since 1970",
        ) from error
    return (at if at.tzinfo else at.replace(tzinfo=datetime.UTC)).astimezone(datetime.UTC)


def _number(place: str, name: str, text: str, *, highest: float) -> float:
    thing = f"{place}: {name} = {text or '(empty)'}"
    try:
        value = float(text)
    except ValueError as error:
        raise CapacityError(
            thing, why="it is no number", fix="write digits with a point, no unit, no thousands separator"
        ) from error
    if not (math.isfinite(value) and 0 <= value <= highest):
        raise CapacityError(thing, why=f"it is not from 0 to {highest:g}", fix="check the unit of the column")
    return value


def _evenly_spaced(file: Path, rows: Sequence[_Row]) -> Sequence[_Row]:
    if len(rows) < 2:
        raise CapacityError(
            str(file), why=f"it has {len(rows)} rows", fix=f"give at least two, e.g. {EXAMPLE}"
        )
    steps = [(later.at - earlier.at, later) for earlier, later in itertools.pairwise(rows)]
    usual = sorted(step for step, _ in steps)[len(steps) // 2]
    for step, later in steps:
        place, before = f"{file}:{later.line}", _iso(later.at - step)
        if step <= datetime.timedelta(0):
            raise CapacityError(
                f"{place}: timestamp = {_iso(later.at)}",
                why=f"it is not after the row before it, {before}",
                fix="sort the rows by time and keep one of each",
            )
        if step > usual * 1.5:
            raise CapacityError(
                f"{place}: timestamp = {_iso(later.at)}",
                why=f"rows are {_spoken(usual)} apart, but {_spoken(step)} are missing after {before}",
                fix="fill the gap (0 requests_per_s where there were none), or cut the file there",
            )
    if usual > COARSEST:
        raise CapacityError(
            str(file),
            why=f"its rows are {_spoken(usual)} apart; nothing that scaling reacts to would be seen",
            fix="export one row a minute, an hour at most",
        )
    return rows


def _resampled(rows: Sequence[_Row], start: datetime.datetime) -> Iterator[Minute]:
    """Whole minutes: the last row where rows are coarser, the mean where they are finer."""
    last_step = rows[-1].at - rows[-2].at
    minutes = max(1, round((rows[-1].at + last_step - start) / datetime.timedelta(minutes=1)))
    position, current = 0, rows[0].minute
    for minute in range(minutes):
        end = start + datetime.timedelta(minutes=minute + 1)
        within: list[Minute] = []
        while position < len(rows) and rows[position].at < end:
            within.append(rows[position].minute)
            position += 1
        current = _mean(within) if within else current
        yield current


def _mean(minutes: Sequence[Minute]) -> Minute:
    if len(minutes) == 1:
        return minutes[0]
    rate = sum(minute.requests_per_s for minute in minutes) / len(minutes)
    slowest = max(minutes, key=lambda minute: minute.duration.p95_ms)
    return Minute(rate, slowest.duration)


def _iso(at: datetime.datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _spoken(step: datetime.timedelta) -> str:
    seconds = step.total_seconds()
    return f"{seconds / 60:g} min" if seconds >= 60 else f"{seconds:g} s"
