"""Chunks are what OpenAI's own client reads, whatever their text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk

from gateway.failures import Reason, RefusalError
from gateway.model import FinishReason, TextDelta, ToolCallArguments, ToolCallStart, Usage
from gateway.surfaces.chat_stream import DONE, ChunkEncoder, error_event
from gateway.surfaces.errors import refusal_answer

USAGE = Usage(input_tokens=10, output_tokens=4, cached_input_tokens=3, reasoning_tokens=1)


def encoder(*, include_usage: bool = False) -> ChunkEncoder:
    return ChunkEncoder("chatcmpl-1", 1_700_000_000, "claude", include_usage=include_usage)


def chunk(event: bytes) -> ChatCompletionChunk:
    assert event.startswith(b"data: ")
    assert event.endswith(b"\n\n")
    assert event.count(b"\n") == 2
    return ChatCompletionChunk.model_validate_json(event[6:-2], strict=True)


@given(st.text(st.characters(codec="utf-8")))
def test_any_text_survives(text: str) -> None:
    assert chunk(encoder().text(TextDelta(text))).choices[0].delta.content == text


def test_the_first_chunk_says_who_speaks() -> None:
    first = chunk(encoder().role())
    assert (first.id, first.model, first.created) == ("chatcmpl-1", "claude", 1_700_000_000)
    assert first.choices[0].delta.role == "assistant"
    assert first.choices[0].finish_reason is None


def test_a_tool_call_begins_with_its_name_and_goes_on_with_its_arguments() -> None:
    begun = chunk(encoder().tool_call(ToolCallStart(1, "call_1", "weather"))).choices[0].delta.tool_calls
    gone_on = chunk(encoder().arguments(ToolCallArguments(1, '{"a":"ü'))).choices[0].delta.tool_calls
    assert begun is not None
    assert gone_on is not None
    assert begun[0].function is not None
    assert (begun[0].index, begun[0].id, begun[0].type) == (1, "call_1", "function")
    assert (begun[0].function.name, begun[0].function.arguments) == ("weather", "")
    assert gone_on[0].function is not None
    assert (gone_on[0].index, gone_on[0].id) == (1, None)
    assert gone_on[0].function.arguments == '{"a":"ü'


@pytest.mark.parametrize("reason", FinishReason)
def test_without_usage_the_end_is_one_chunk_and_done(reason: FinishReason) -> None:
    last, done, rest = encoder().finished(reason, USAGE).split(b"\n\n")
    assert chunk(last + b"\n\n").choices[0].finish_reason == reason
    assert b"usage" not in last
    assert (done + b"\n\n", rest) == (DONE, b"")


def test_with_usage_every_chunk_has_it_null_but_the_last_which_has_no_choice() -> None:
    wanted = encoder(include_usage=True)
    for event in (wanted.role(), wanted.text(TextDelta("a")), wanted.tool_call(ToolCallStart(0, "a", "b"))):
        assert json.loads(event[6:])["usage"] is None
    last, usage, done, _rest = wanted.finished(FinishReason.STOP, USAGE).split(b"\n\n")
    assert json.loads(last[6:])["usage"] is None
    told = chunk(usage + b"\n\n")
    assert told.choices == []
    assert told.usage is not None
    assert (told.usage.prompt_tokens, told.usage.completion_tokens, told.usage.total_tokens) == (10, 4, 14)
    assert done == b"data: [DONE]"


def test_a_failure_is_told_in_the_form_of_an_error() -> None:
    event = error_event(refusal_answer(RefusalError(Reason.PROVIDER_FAILURE, "It broke.")))
    assert json.loads(event[6:])["error"]["code"] == "provider_failure"
    assert b"[DONE]" not in event
