"""A traffic file is read as it is meant, or refused with the line and the remedy."""

import datetime
from pathlib import Path

import pytest

from capacity.errors import CapacityError
from capacity.traffic import TAIL_RATIO
from capacity.traffic_csv import read_traffic

HEADER = "timestamp,requests_per_s,p50_ms\n"


def write(folder: Path, text: str, *, encoding: str = "utf-8") -> Path:
    file = folder / "traffic.csv"
    file.write_text(text, encoding=encoding)
    return file


def minutes(count: int, *, step_s: int = 60) -> str:
    start = datetime.datetime(2026, 11, 16, tzinfo=datetime.UTC)
    times = (start + datetime.timedelta(seconds=step_s * number) for number in range(count))
    return HEADER + "".join(f"{at.isoformat()},{number},1500\n" for number, at in enumerate(times))


def test_a_row_a_minute_is_taken_as_it_stands(tmp_path: Path) -> None:
    traffic = read_traffic(write(tmp_path, minutes(5)))
    assert [minute.requests_per_s for minute in traffic.minutes] == [0, 1, 2, 3, 4]
    assert traffic.start == datetime.datetime(2026, 11, 16, tzinfo=datetime.UTC)
    assert traffic.minutes[0].duration.p95_ms == TAIL_RATIO * 1500


def test_coarse_rows_hold_until_the_next(tmp_path: Path) -> None:
    traffic = read_traffic(write(tmp_path, minutes(3, step_s=300)))
    assert [minute.requests_per_s for minute in traffic.minutes] == [0] * 5 + [1] * 5 + [2] * 5


def test_fine_rows_are_averaged(tmp_path: Path) -> None:
    traffic = read_traffic(write(tmp_path, minutes(6, step_s=20)))
    assert [minute.requests_per_s for minute in traffic.minutes] == [1, 4]


@pytest.mark.parametrize(
    "stamps",
    [
        ("2026-11-16T08:00:00Z", "2026-11-16T08:01:00Z"),
        ("2026-11-16 08:00", "2026-11-16 08:01"),
        ("2026-11-16T09:00:00+01:00", "2026-11-16T09:01:00+01:00"),
        ("1794816000", "1794816060"),
    ],
)
def test_times_in_any_usual_form_mean_the_same_minute(tmp_path: Path, stamps: tuple[str, str]) -> None:
    rows = "".join(f"{stamp},5,100\n" for stamp in stamps)
    assert read_traffic(write(tmp_path, HEADER + rows)).start.isoformat() == "2026-11-16T08:00:00+00:00"


def test_a_byte_order_mark_other_columns_and_blank_lines_do_no_harm(tmp_path: Path) -> None:
    rows = ["timestamp,P50_ms,region,requests_per_s,p95_ms", "2026-11-16T08:00Z,100,eu,5,900", "",
            "2026-11-16T08:01Z,100,eu,5,900", ""]  # fmt: skip
    text = "\n".join(rows)
    traffic = read_traffic(write(tmp_path, text, encoding="utf-8-sig"))
    assert len(traffic.minutes) == 2
    assert traffic.minutes[0].duration.p95_ms == 900


ROW = "2026-11-16T08:{:02}:00Z,{},{}\n"
GOOD = ROW.format(0, 5, 100)
WITH_P95 = "timestamp,requests_per_s,p50_ms,p95_ms\n2026-11-16T08:00:00Z,5,900,100\n"
WITH_A_GAP = HEADER + "".join(ROW.format(minute, 5, 100) for minute in (0, 1, 2, 7))


def second(rate: object, duration: object = 100) -> str:
    """A file whose second row says this."""
    return HEADER + GOOD + ROW.format(1, rate, duration)


# What is wrong: the file, a part of the reason, a part of the remedy.
REFUSED = {
    "empty": ("", "column timestamp is missing", "name the columns"),
    "no rows": (HEADER, "it has 0 rows", "at least two"),
    "one row": (HEADER + GOOD, "it has 1 rows", "at least two"),
    "missing column": ("timestamp,p50_ms\n2026,1\n", "requests_per_s is missing; it has: timestamp", "name"),
    "column twice": ("timestamp,p50_ms,p50_ms,requests_per_s\n", "p50_ms is there twice", "remove one"),
    "semicolons": ("timestamp;requests_per_s;p50_ms\n2026;1;1\n", "separated by semicolons", "commas"),
    "unsorted": (HEADER + ROW.format(1, 5, 100) + GOOD, "it is not after the row before it", "sort"),
    "duplicate": (HEADER + GOOD + GOOD, "it is not after the row before it", "keep one"),
    "gap": (WITH_A_GAP, "5 min are missing after 2026-11-16T08:02", "fill"),
    "negative": (second(-5), "requests_per_s = -5", "check the unit"),
    "not a number": (second("many"), "requests_per_s = many", "digits with a point"),
    "not finite": (second("nan"), "requests_per_s = nan", "check the unit"),
    "decimal comma": (second('"5,5"'), "requests_per_s = 5,5", "digits with a point"),
    "no time": (HEADER + "yesterday,5,100\n", "timestamp = yesterday", "2026-11-16T08:00:00Z"),
    "no duration": (second(5, 0), "requests that take no time", "median"),
    "too few values": (HEADER + "2026-11-16T08:00:00Z,5\n", "2 values for 3 columns", "complete"),
    "swapped percentiles": (WITH_P95, "not below the median", "swapped"),
    "too coarse": (minutes(3, step_s=7200), "120 min apart", "one row a minute"),
    "too long": (minutes(800, step_s=3600), "more than 31 days after the first row", "fewer days"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_cannot_be_planned_with_is_refused_with_reason_and_remedy(
    tmp_path: Path, name: str
) -> None:
    text, why, fix = REFUSED[name]
    with pytest.raises(CapacityError) as refusal:
        read_traffic(write(tmp_path, text))
    message = str(refusal.value)
    assert str(tmp_path / "traffic.csv") in message
    assert why in message
    assert fix in message.split("fix:")[1]


def test_the_line_is_named(tmp_path: Path) -> None:
    with pytest.raises(CapacityError, match=r"traffic\.csv:3: requests_per_s = -5"):
        read_traffic(write(tmp_path, HEADER + GOOD + ROW.format(1, -5, 100)))


def test_a_file_that_is_no_text_or_no_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "traffic.csv"
    with pytest.raises(CapacityError, match="No such file"):
        read_traffic(file)
    with pytest.raises(CapacityError, match="Is a directory"):
        read_traffic(tmp_path)
    file.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(CapacityError, match="it is no CSV text"):
        read_traffic(file)


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "traffic.csv"
    with file.open("wb") as huge:
        huge.truncate(300 * 1024 * 1024)
    with pytest.raises(CapacityError, match="300 MiB"):
        read_traffic(file)
