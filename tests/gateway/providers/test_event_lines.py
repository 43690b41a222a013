"""Server-sent events are told apart however they are written and split."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.providers.adapter import FailureKind, ProviderError
from gateway.providers.event_lines import MAXIMUM_EVENT_BYTES, EventLines

BOM = b"\xef\xbb\xbf"
lines_of_data = st.binary(max_size=5).map(lambda line: line.translate(None, b"\r\n "))
events = st.lists(st.lists(lines_of_data, min_size=1, max_size=3), max_size=4)
others = st.sampled_from([b": ping", b":", b"event: x", b"id: 1", b"retry: 5", b"unknown", b"datum: x"])


def read(*pieces: bytes) -> list[bytes]:
    lines = EventLines("Test")
    found = list(itertools.chain(*map(lines.feed, pieces)))
    return found + lines.end()


@settings(max_examples=200)
@given(st.data(), events, st.sampled_from([b"\n", b"\r", b"\r\n"]), st.booleans(), st.booleans())
def test_every_writing_and_every_split_gives_the_data(
    data: st.DataObject, written: list[list[bytes]], ending: bytes, with_mark: bool, with_space: bool
) -> None:
    lines: list[bytes] = []
    for event in written:
        lines += data.draw(st.lists(others, max_size=2))
        lines += [(b"data: " if with_space else b"data:") + line for line in event] + [b""]
    stream = (BOM if with_mark else b"") + b"".join(line + ending for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[start:end] for start, end in itertools.pairwise([0, *cuts, len(stream)])]
    assert read(*pieces) == [joined for event in written if (joined := b"\n".join(event))]


def test_a_line_end_of_two_bytes_may_be_split() -> None:
    assert read(b"data: a\r", b"\ndata: b\r", b"\n\r", b"\n") == [b"a\nb"]


def test_a_byte_order_mark_belongs_to_no_line() -> None:
    assert read(BOM + b"data: a\n\n" + BOM + b"data: b\n\n") == [b"a"]
    assert read(*[bytes([byte]) for byte in BOM + b"data: a\n\n"]) == [b"a"]


def test_the_last_blank_line_may_be_missing() -> None:
    assert read(b"data: a\n\ndata: b") == [b"a", b"b"]
    assert read(b"data: a\n\ndata: b\n") == [b"a", b"b"]


def test_empty_data_keeps_a_connection_alive_and_is_no_event() -> None:
    assert read(b"data\n\ndata:\n\ndata: a\n\n") == [b"a"]
    assert read(b"data: a\ndata\ndata: b\n\n") == [b"a\n\nb"]


@pytest.mark.parametrize("size", [50, 1000, MAXIMUM_EVENT_BYTES])
@pytest.mark.parametrize("written", [b"data: " + b"x" * 5000 + b"\n", b": " + b"x" * 3_000_000])
def test_an_event_larger_than_the_limit_is_refused_however_it_comes(size: int, written: bytes) -> None:
    lines = EventLines("Test")
    stream = written * (MAXIMUM_EVENT_BYTES // 5000 + 1 if written.startswith(b"data") else 1)
    pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
    with pytest.raises(ProviderError) as refused:
        list(map(lines.feed, pieces))
    assert refused.value.kind is FailureKind.PROTOCOL


def test_what_came_before_does_not_count_towards_the_limit() -> None:
    event = b"data: " + b"x" * (MAXIMUM_EVENT_BYTES // 2) + b"\n\n"
    assert len(read(*[event] * 5)) == 5
