"""Llama behind any OpenAI-compatible `chat/completions` endpoint: vLLM, llama.cpp, Ollama, hosted ones.

The shapes are OpenAI's (`openai.types.chat`), kept to what such servers have in common.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from gateway.model import Completion, Request, ToolCall
from gateway.providers.adapter import FailureKind, HttpRequest, HttpResponse, ProviderError
from gateway.providers.conversation import unencodable
from gateway.providers.http_answer import (
    broken_answer,
    decode_answer,
)
from gateway.providers.llama_answer import PROVIDER, finish_reason, refusal_of, usage_of
from gateway.providers.llama_request import chat_completion_input
from gateway.providers.llama_stream import LlamaStream
from gateway.providers.token_estimate import estimated_usage


class _Function(msgspec.Struct):
    name: str
    arguments: msgspec.Raw = msgspec.Raw(b'""')


class _ToolCall(msgspec.Struct):
    function: _Function
    id: str | None = None


class _ContentPart(msgspec.Struct):
    text: str | None = None


class _Message(msgspec.Struct):
    content: str | list[_ContentPart] | None = None
    tool_calls: list[_ToolCall] | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Answer(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = msgspec.Raw(b"null")
    error: msgspec.Raw = msgspec.Raw(b"null")


_encoder = msgspec.json.Encoder()
_answer_decoder = msgspec.json.Decoder(_Answer)
_text_decoder = msgspec.json.Decoder(str)


class LlamaAdapter:
    """Chat completions of an OpenAI-compatible server.

    `base_url` reaches up to and including `/v1`; `api_key` gives the current key, or None where
    there is none.
    """

    def __init__(
        self,
        base_url: str,
        api_key: Callable[[], str | None],
        *,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._url = f"{base_url.rstrip('/')}/chat/completions"
        self._api_key = api_key
        self._now_s = now_s

    def prepare(self, request: Request, invocation_id: str) -> HttpRequest:
        """See `Adapter.prepare`."""
        return self._prepared(request, invocation_id, streamed=False)

    def prepare_stream(self, request: Request, invocation_id: str) -> HttpRequest:
        """See `Adapter.prepare_stream`."""
        return self._prepared(request, invocation_id, streamed=True)

    def stream_decoder(self, request: Request) -> LlamaStream:
        """See `Adapter.stream_decoder`."""
        return LlamaStream(request, self._now_s)

    def parse(self, response: HttpResponse, request: Request) -> Completion:
        """See `Adapter.parse`. Some servers report errors with status 200: those are errors here too."""
        if response.status != 200:
            raise refusal_of(response, self._now_s())
        answer = decode_answer(response, _answer_decoder, PROVIDER)
        if not answer.choices:
            if bytes(answer.error) != b"null":
                raise refusal_of(response, self._now_s())
            raise broken_answer(PROVIDER, "it holds no choice", response.status)
        choice = answer.choices[0]
        text = _text(choice.message)
        tool_calls = _tool_calls(choice.message.tool_calls or [], request)
        return Completion(
            text=text,
            finish_reason=finish_reason(choice.finish_reason, bool(tool_calls), bool(choice.message.refusal)),
            usage=usage_of(answer.usage) or estimated_usage(request, text, tool_calls),
            tool_calls=tool_calls,
        )

    def _prepared(self, request: Request, invocation_id: str, *, streamed: bool) -> HttpRequest:
        content = chat_completion_input(request, invocation_id)
        if streamed:
            content |= {"stream": True, "stream_options": {"include_usage": True}}
        try:
            body = _encoder.encode(content)
        except (UnicodeEncodeError, RecursionError) as error:
            raise unencodable(error) from None
        key = self._api_key()
        if not key:
            raise ProviderError(FailureKind.AUTHENTICATION, "no API key is at hand for Llama")
        headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
        return HttpRequest("POST", self._url, headers, body)


def _text(message: _Message) -> str:
    content = message.content
    if isinstance(content, list):
        return "".join([part.text for part in content if part.text is not None])
    return content or message.refusal or ""


def _tool_calls(calls: list[_ToolCall], request: Request) -> tuple[ToolCall, ...]:
    return tuple(
        ToolCall(
            id=call.id or f"call_{request.id}_{index}",
            name=call.function.name,
            arguments_json=_arguments(bytes(call.function.arguments)),
        )
        for index, call in enumerate(calls)
    )


def _arguments(encoded: bytes) -> str:
    """OpenAI sends arguments as text that holds JSON; some servers send the object itself."""
    try:
        if encoded[:1] == b'"':
            return _text_decoder.decode(encoded) or "{}"
        return "{}" if encoded == b"null" else encoded.decode()
    except (msgspec.MsgspecError, ValueError):
        raise broken_answer(PROVIDER, "the arguments of a tool call are not UTF-8", 200) from None
