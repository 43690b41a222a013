"""Rows as a table that people read and `awk` can cut."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

GAP = "  "
NOTHING = "-"


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Left-aligned columns under their headings; an empty cell is a dash, so that columns stay countable."""
    cells = [list(headings), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headings))]
    lines = (
        GAP.join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )
    return "\n".join(lines)


def moment(at: datetime.datetime) -> str:
    """A time as the audit records write it, without fractions."""
    return at.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment_of_ms(milliseconds: int | None) -> str:
    """Milliseconds since 1970 UTC as a time; empty where there are none."""
    return moment(datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC)) if milliseconds else ""


def _cell(value: object) -> str:
    return " ".join(str(value).split()) or NOTHING
