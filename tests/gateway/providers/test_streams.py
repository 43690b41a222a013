"""Streamed answers: however the bytes are split, what comes out is the answer sent whole."""

from __future__ import annotations

import datetime
import itertools
import json
import struct
from collections.abc import Iterable
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.control.registry import Currency, Price
from gateway.model import (
    Completion,
    Finished,
    FinishReason,
    StreamEvent,
    TextDelta,
    Thinking,
    ToolCall,
    ToolCallArguments,
    ToolCallStart,
    Usage,
)
from gateway.providers.adapter import FailureKind, HttpResponse, ProviderError, StreamDecoder
from gateway.providers.aws_event_stream import EventStream
from gateway.providers.event_lines import MAXIMUM_EVENT_BYTES
from gateway.spending.meter import cost_eur_micro
from tests.gateway.providers.stream_wires import (
    BEDROCK,
    GOOGLE,
    LLAMA,
    REQUEST,
    WIRES,
    Answer,
    Call,
    WireFormat,
    bedrock_event,
    compact,
    frame,
    sse,
)

every_wire = pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
PRICE = Price(
    currency=Currency.EUR,
    as_of=datetime.date(2026, 11, 1),
    input_micro_per_million_tokens=3_000_000,
    output_micro_per_million_tokens=15_000_000,
    cached_input_micro_per_million_tokens=300_000,
)

texts = st.lists(st.text(max_size=12), max_size=6).map(tuple)
objects = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=8), max_size=3)


@st.composite
def calls(draw: st.DrawFn) -> Call:
    text = json.dumps(draw(objects), separators=(",", ":"), ensure_ascii=False)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
    pieces = [text[start:end] for start, end in itertools.pairwise([0, *cuts, len(text)])]
    name = draw(st.text("abcdefghij_", min_size=1, max_size=8))
    return Call(draw(st.none() | st.text("xyz123", min_size=1, max_size=8)), name, tuple(pieces))


usages = st.builds(
    lambda prompt, cached, said, thought: Usage(prompt + cached, said + thought, cached, thought),
    *[st.integers(0, 10_000)] * 4,
)
answers = st.builds(
    Answer,
    texts,
    st.lists(calls(), max_size=3).map(tuple),
    st.sampled_from(["stop", "length"]),
    st.none() | usages,
)


def events_of(decoder: StreamDecoder, pieces: Iterable[bytes]) -> list[StreamEvent]:
    events = list(itertools.chain(*map(decoder.feed, pieces)))
    return events + decoder.end()


def decoded(wire: WireFormat, *pieces: bytes) -> list[StreamEvent]:
    return events_of(wire.adapter.stream_decoder(REQUEST), pieces)


def joined(events: list[StreamEvent]) -> Completion:
    """What the events add up to; they must come in an order that a client can follow."""
    text, names, arguments = "", dict[int, tuple[str, str]](), dict[int, str]()
    assert isinstance(events[-1], Finished)
    for event in events[:-1]:
        match event:
            case TextDelta():
                assert event.text
                text += event.text
            case ToolCallStart():
                assert event.index == len(names)
                names[event.index] = event.id, event.name
            case ToolCallArguments():
                assert event.piece
                assert event.index in names
                arguments[event.index] = arguments.get(event.index, "") + event.piece
            case Finished():
                raise AssertionError("finished twice")
    made = tuple(ToolCall(*names[index], arguments[index]) for index in names)
    return Completion(text, events[-1].finish_reason, events[-1].usage, made)


def canonical(completion: Completion) -> tuple[object, ...]:
    """Arguments as values: Bedrock and Gemini send them as JSON of their own in whole answers."""
    made = [(call.id, call.name, json.loads(call.arguments_json)) for call in completion.tool_calls]
    return completion.text, completion.finish_reason, made


def whole(wire: WireFormat, answer: Answer) -> Completion:
    encoded = compact(wire.whole(answer)).encode()
    return wire.adapter.parse(HttpResponse(200, {"content-type": "application/json"}, encoded), REQUEST)


@every_wire
@settings(max_examples=60)
@given(answer=answers)
def test_a_stream_adds_up_to_the_answer_sent_whole(wire: WireFormat, answer: Answer) -> None:
    streamed, expected = joined(decoded(wire, wire.stream(answer))), whole(wire, answer)
    assert canonical(streamed) == canonical(expected)
    assert streamed.usage == expected.usage
    assert cost_eur_micro(PRICE, streamed.usage) == cost_eur_micro(PRICE, expected.usage)
    assert streamed.usage.estimated == (answer.usage is None)


@every_wire
@settings(max_examples=60)
@given(answer=answers, cuts=st.lists(st.integers(0, 4000), max_size=12))
def test_any_split_of_the_bytes_gives_the_same_events(
    wire: WireFormat, answer: Answer, cuts: list[int]
) -> None:
    stream = wire.stream(answer)
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    pieces = [stream[start:end] for start, end in itertools.pairwise(places)]
    assert decoded(wire, *pieces) == decoded(wire, stream)


@every_wire
def test_byte_by_byte_and_with_every_line_end(wire: WireFormat) -> None:
    answer = Answer(("Grüße", " 👋"), (Call("c1", "look", ('{"a":', "1}")),), usage=Usage(5, 6))
    stream = wire.stream(answer)
    expected = decoded(wire, stream)
    assert decoded(wire, *[bytes([byte]) for byte in stream]) == expected
    if wire is not BEDROCK:
        for ending in (b"\r", b"\r\n"):
            other = b"\xef\xbb\xbf: a comment\n" + stream
            assert decoded(wire, *[bytes([b]) for b in other.replace(b"\n", ending)]) == expected
            assert decoded(wire, other.replace(b"\n", ending)) == expected


@every_wire
def test_an_event_is_passed_on_as_soon_as_it_is_complete(wire: WireFormat) -> None:
    decoder = wire.adapter.stream_decoder(REQUEST)
    said = [decoder.feed(event) for event in wire.events(Answer(("one", "two", "three"), usage=Usage(1, 1)))]
    texts_said = [event.text for events in said for event in events if isinstance(event, TextDelta)]
    assert texts_said == ["one", "two", "three"]
    assert all(len(events) <= 1 for events in said)
    assert isinstance(said[-1][-1], Finished), "the end is not told before the connection ends"
    assert decoder.end() == []


@every_wire
@given(answer=answers, where=st.floats(0, 1), damage=st.binary(min_size=1, max_size=6), how=st.integers(0, 2))
@settings(max_examples=60)
def test_damaged_bytes_raise_nothing_but_provider_errors(
    wire: WireFormat, answer: Answer, where: float, damage: bytes, how: int
) -> None:
    stream = wire.stream(answer)
    at = int(where * len(stream))
    rest = stream[at:] if how == 0 else stream[at + len(damage) :] if how == 1 else b""
    try:
        joined(decoded(wire, stream[:at] + damage + rest))
    except ProviderError:
        return


@every_wire
@given(noise=st.binary(max_size=200))
def test_noise_raises_nothing_but_provider_errors(wire: WireFormat, noise: bytes) -> None:
    with pytest.raises(ProviderError):
        decoded(wire, noise)
    with pytest.raises(ProviderError):
        decoded(wire, b"data: " + noise.replace(b"\n", b"") + b"\n\n")


@every_wire
def test_every_cut_before_the_end_is_noticed(wire: WireFormat) -> None:
    events = wire.events(Answer(("one", "two"), usage=Usage(1, 1)))
    last = {"bedrock": 2, "google": 1, "llama": 1}[wire.name]
    for count in range(len(events) - last + 1):
        with pytest.raises(ProviderError) as ended:
            decoded(wire, b"".join(events[:count]))
        assert ended.value.kind is FailureKind.PROTOCOL


@every_wire
def test_usage_that_does_not_come_is_estimated_and_marked(wire: WireFormat) -> None:
    usage = joined(decoded(wire, wire.stream(Answer(("Good day to you",))))).usage
    assert usage.estimated
    assert usage.output_tokens == 4
    assert usage.input_tokens > 0


@every_wire
def test_an_event_that_is_too_large_ends_the_stream(wire: WireFormat) -> None:
    decoder = wire.adapter.stream_decoder(REQUEST)
    with pytest.raises(ProviderError) as refused:
        decoded(wire, wire.stream(Answer(("x" * MAXIMUM_EVENT_BYTES,))))
    assert refused.value.kind is FailureKind.PROTOCOL
    piece = b"data: " + b"x" * 60_000 if wire is not BEDROCK else b"\x7f" * 60_000
    fed = itertools.repeat(piece, MAXIMUM_EVENT_BYTES // 50_000)
    with pytest.raises(ProviderError):
        events_of(decoder, fed)


@every_wire
def test_a_stream_that_does_not_end_is_ended(wire: WireFormat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.providers.streamed_answer.MAXIMUM_ANSWER_BYTES", 10_000)
    event = wire.events(Answer(("one",)))[0 if wire is GOOGLE else 1]
    with pytest.raises(ProviderError, match="exceeds 10000 bytes"):
        decoded(wire, *[event] * 500)


@pytest.mark.parametrize("wire", [GOOGLE, LLAMA], ids=lambda wire: wire.name)
def test_a_malformed_event_is_skipped_and_counted(wire: WireFormat) -> None:
    decoder = wire.adapter.stream_decoder(REQUEST)
    events = wire.events(Answer(("one", "two"), usage=Usage(1, 1)))
    mixed = [events[0], sse("{garbage"), b"data: {\xff}\n\n", *events[1:]]
    assert joined(events_of(decoder, mixed)).text == "onetwo"
    assert decoder.skipped == 2


def test_a_malformed_payload_in_a_sound_frame_is_skipped_and_counted() -> None:
    decoder = BEDROCK.adapter.stream_decoder(REQUEST)
    headers = {":event-type": "contentBlockDelta", ":message-type": "event"}
    events = BEDROCK.events(Answer(("one", "two")))
    mixed = [events[0], frame(headers, b"{garbage"), *events[1:]]
    assert joined(events_of(decoder, mixed)).text == "onetwo"
    assert decoder.skipped == 1


IN_BAND = [
    (BEDROCK, frame({":message-type": "exception", ":exception-type": name}, b'{"message": "no"}'), kind)
    for name, kind in (
        ("throttlingException", FailureKind.RATE_LIMITED),
        ("internalServerException", FailureKind.OVERLOADED),
        ("serviceUnavailableException", FailureKind.OVERLOADED),
        ("modelStreamErrorException", FailureKind.OVERLOADED),
        ("modelTimeoutException", FailureKind.TIMEOUT),
        ("accessDeniedException", FailureKind.AUTHENTICATION),
        ("somethingNewException", FailureKind.OVERLOADED),
    )
] + [
    (
        BEDROCK,
        frame({":message-type": "error", ":error-code": "InternalError", ":error-message": "no"}, b""),
        FailureKind.OVERLOADED,
    ),
    (
        GOOGLE,
        sse({"error": {"code": 429, "message": "no", "status": "RESOURCE_EXHAUSTED"}}),
        FailureKind.RATE_LIMITED,
    ),
    (GOOGLE, sse({"error": {"code": 503, "status": "UNAVAILABLE"}}), FailureKind.OVERLOADED),
    (GOOGLE, sse('[{"error": {"code": 401, "status": "UNAUTHENTICATED"}}]'), FailureKind.AUTHENTICATION),
    (GOOGLE, sse({"promptFeedback": {"blockReason": "SAFETY"}}), FailureKind.CONTENT_FILTER),
    (GOOGLE, sse({"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL"}]}), FailureKind.PROTOCOL),
    (LLAMA, sse({"error": {"message": "no", "code": "rate_limit_exceeded"}}), FailureKind.RATE_LIMITED),
    (LLAMA, sse({"error": {"message": "no", "code": 503}}), FailureKind.OVERLOADED),
    (LLAMA, sse({"object": "error", "message": "no", "code": 500}), FailureKind.OVERLOADED),
    (LLAMA, sse({"error": "overloaded"}), FailureKind.OVERLOADED),
]


@pytest.mark.parametrize(("wire", "failure", "kind"), IN_BAND)
def test_a_failure_inside_the_stream_has_its_kind(
    wire: WireFormat, failure: bytes, kind: FailureKind
) -> None:
    start = wire.events(Answer(("one",)))[:2]
    with pytest.raises(ProviderError) as failed:
        decoded(wire, *start[: 1 if wire is GOOGLE else 2], failure)
    assert failed.value.kind is kind
    assert failed.value.status == 200


def test_bedrocks_malformed_output_is_no_answer() -> None:
    with pytest.raises(ProviderError, match="malformed_tool_use"):
        decoded(BEDROCK, bedrock_event("messageStop", {"stopReason": "malformed_tool_use"}))


@settings(max_examples=60)
@given(answer=answers, size=st.integers(1, 60))
def test_frames_are_read_as_botocore_reads_them(answer: Answer, size: int) -> None:
    stream = BEDROCK.stream(answer) + frame({":message-type": "event", "empty": ""}, b"")
    theirs = EventStreamBuffer()
    theirs.add_data(stream)
    expected: list[object] = [(message.headers, message.payload) for message in theirs]
    ours = EventStream("Bedrock")
    found = [ours.feed(stream[start : start + size]) for start in range(0, len(stream), size)]
    assert [(each.headers, each.payload) for each in itertools.chain(*found)] == expected


def test_headers_that_are_no_text_are_passed_over() -> None:
    encoded = b"\x01b\x00" + b"\x01i\x04\x00\x00\x00\x01" + b"\x01d\x06\x00\x02ab" + b"\x01t\x07\x00\x02ok"
    prelude = struct.pack(">II", 16 + len(encoded), len(encoded))
    checked = prelude + struct.pack(">I", crc32(prelude)) + encoded
    (read,) = EventStream("Bedrock").feed(checked + struct.pack(">I", crc32(checked)))
    assert read.headers == {"t": "ok"}


def test_a_damaged_byte_of_a_frame_is_noticed_wherever_it_is() -> None:
    sound = bedrock_event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "one"}})
    for position in range(len(sound)):
        damaged = bytearray(sound)
        damaged[position] ^= 1
        with pytest.raises(ProviderError, match="checksum"):
            EventStream("Bedrock").feed(bytes(damaged))


@pytest.mark.parametrize(("size", "headers_size"), [(0, 0), (12, 0), (15, 0), (16, 1), (40, 25)])
def test_a_frame_that_is_too_small_for_what_it_claims_is_refused(size: int, headers_size: int) -> None:
    prelude = struct.pack(">II", size, headers_size)
    checked = (prelude + struct.pack(">I", crc32(prelude))).ljust(max(12, size - 4), b"\x00")
    with pytest.raises(ProviderError, match="shorter than its headers"):
        EventStream("Bedrock").feed(checked + struct.pack(">I", crc32(checked)))


def test_a_quiet_model_is_seen_to_think() -> None:
    bedrock = bedrock_event(
        "contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "hm"}}}
    )
    google = sse({"candidates": [{"content": {"parts": [{"text": "hm", "thought": True}]}}]})
    llama = sse({"choices": [{"index": 0, "delta": {"reasoning_content": "hm"}}]})
    for wire, event in ((BEDROCK, bedrock), (GOOGLE, google), (LLAMA, llama)):
        assert wire.adapter.stream_decoder(REQUEST).feed(event) == [Thinking()]


def test_refusals_of_openais_kind_are_text_and_a_reason() -> None:
    events = [sse({"choices": [{"index": 0, "delta": {"refusal": piece}}]}) for piece in ("I ", "won't")]
    end = sse({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}) + sse("[DONE]")
    completion = joined(decoded(LLAMA, *events, end))
    assert (completion.text, completion.finish_reason) == ("I won't", FinishReason.CONTENT_FILTER)


@pytest.mark.parametrize(
    "deltas",
    [
        [  # no index, as some servers have it
            {"id": "a", "function": {"name": "f", "arguments": '{"x"'}},
            {"function": {"arguments": ":1}"}},
            {"id": "b", "function": {"name": "g", "arguments": "{}"}},
        ],
        [  # whole calls that all bear index 0, and arguments as an object
            {"index": 0, "id": "a", "function": {"name": "f", "arguments": {"x": 1}}},
            {"index": 0, "id": "b", "function": {"name": "g"}},
        ],
        [  # interleaved
            {"index": 1, "id": "a", "function": {"name": "f", "arguments": '{"x":'}},
            {"index": 0, "id": "b", "function": {"name": "g", "arguments": ""}},
            {"index": 1, "function": {"arguments": "1}"}},
            {"index": 0, "function": {"arguments": "{}"}},
        ],
    ],
)
def test_tool_calls_of_lax_servers_are_told_apart(deltas: list[dict[str, object]]) -> None:
    events = [sse({"choices": [{"index": 0, "delta": {"tool_calls": [delta]}}]}) for delta in deltas]
    made = joined(decoded(LLAMA, *events, sse("[DONE]"))).tool_calls
    assert [(call.id, call.name, json.loads(call.arguments_json)) for call in made] == [
        ("a", "f", {"x": 1}),
        ("b", "g", {}),
    ]


def test_arguments_without_a_call_are_no_answer() -> None:
    delta = {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}
    with pytest.raises(ProviderError) as refused:
        decoded(LLAMA, sse({"choices": [{"index": 0, "delta": delta}]}))
    assert refused.value.kind is FailureKind.PROTOCOL


@every_wire
def test_what_is_asked_is_what_is_asked_of_a_whole_answer_but_streamed(wire: WireFormat) -> None:
    once = wire.adapter.prepare(REQUEST, "model")
    streamed = wire.adapter.prepare_stream(REQUEST, "model")
    body = json.loads(streamed.body)
    if wire is LLAMA:
        assert (body.pop("stream"), body.pop("stream_options")) == (True, {"include_usage": True})
        assert streamed.url == once.url
    elif wire is GOOGLE:
        assert streamed.url == once.url.replace(":generateContent", ":streamGenerateContent?alt=sse")
    else:
        assert streamed.url == once.url + "-stream"
    assert body == json.loads(once.body)
