"""Amazon Bedrock's Converse interface, for Claude, Llama and every other model Bedrock serves.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html; the shapes are
those of botocore's `bedrock-runtime` service model.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from gateway.model import Completion, Request, ToolCall
from gateway.providers.adapter import FailureKind, HttpRequest, HttpResponse, ProviderError
from gateway.providers.aws_signature import Target, signed_headers, target
from gateway.providers.bedrock_answer import PROVIDER, finish_reason, refusal_of, usage_of
from gateway.providers.bedrock_request import converse_input
from gateway.providers.bedrock_stream import BedrockStream
from gateway.providers.conversation import unencodable
from gateway.providers.http_answer import (
    broken_answer,
    decode_answer,
)
from gateway.providers.token_estimate import estimated_usage

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials

_SIGNING_NAME = "bedrock"


class BearerToken(msgspec.Struct, frozen=True):
    """A Bedrock API key, as in `AWS_BEARER_TOKEN_BEDROCK`."""

    token: str

    def __repr__(self) -> str:
        return "BearerToken(…)"


class _ToolUse(msgspec.Struct, rename="camel"):
    name: str
    tool_use_id: str = ""
    input: msgspec.Raw = msgspec.Raw(b"{}")


class _Block(msgspec.Struct, rename="camel"):
    text: str | None = None
    tool_use: _ToolUse | None = None


class _Message(msgspec.Struct):
    content: list[_Block]


class _Output(msgspec.Struct):
    message: _Message


class _Answer(msgspec.Struct, rename="camel"):
    output: _Output
    stop_reason: str = ""
    usage: msgspec.Raw = msgspec.Raw(b"null")


_encoder = msgspec.json.Encoder()
_answer_decoder = msgspec.json.Decoder(_Answer)


class BedrockAdapter:
    """Converse over HTTPS, signed with the task's role or a Bedrock API key.

    `credentials` is asked for every request, so that rotated ones are taken up; None means that
    there are none. `endpoint_url` has no trailing path, e.g. `https://bedrock-runtime.eu-central-1.amazonaws.com`.
    """

    def __init__(
        self,
        region: str,
        endpoint_url: str,
        credentials: Callable[[], ReadOnlyCredentials | BearerToken | None],
        *,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._region = region
        self._credentials = credentials
        self._now_s = now_s
        base = endpoint_url.rstrip("/")

        @functools.lru_cache(maxsize=256)
        def target_of(invocation_id: str, operation: str) -> Target:
            return target(f"{base}/model/{quote(invocation_id, safe='')}/{operation}")

        self._target_of = target_of

    def prepare(self, request: Request, invocation_id: str) -> HttpRequest:
        """See `Adapter.prepare`."""
        return self._prepared(request, invocation_id, "converse")

    def prepare_stream(self, request: Request, invocation_id: str) -> HttpRequest:
        """See `Adapter.prepare_stream`."""
        return self._prepared(request, invocation_id, "converse-stream")

    def stream_decoder(self, request: Request) -> BedrockStream:
        """See `Adapter.stream_decoder`."""
        return BedrockStream(request, self._now_s)

    def parse(self, response: HttpResponse, request: Request) -> Completion:
        """See `Adapter.parse`."""
        if response.status != 200:
            raise refusal_of(response, self._now_s())
        answer = decode_answer(response, _answer_decoder, PROVIDER)
        blocks = answer.output.message.content
        text = "".join([block.text for block in blocks if block.text is not None])
        tool_calls = _tool_calls(blocks, request)
        return Completion(
            text=text,
            finish_reason=finish_reason(answer.stop_reason, bool(tool_calls)),
            usage=usage_of(answer.usage) or estimated_usage(request, text, tool_calls),
            tool_calls=tool_calls,
        )

    def _prepared(self, request: Request, invocation_id: str, operation: str) -> HttpRequest:
        try:
            body = _encoder.encode(converse_input(request, invocation_id))
        except (UnicodeEncodeError, RecursionError) as error:
            raise unencodable(error) from None
        where = self._target_of(invocation_id, operation)
        return HttpRequest("POST", where.url, self._headers(where, body), body)

    def _headers(self, where: Target, body: bytes) -> dict[str, str]:
        credentials = self._credentials()
        if credentials is None:
            raise ProviderError(FailureKind.AUTHENTICATION, "no AWS credentials are at hand for Bedrock")
        if isinstance(credentials, BearerToken):
            return {"content-type": "application/json", "authorization": f"Bearer {credentials.token}"}
        return signed_headers(
            where, body, credentials, region=self._region, service=_SIGNING_NAME, now_s=self._now_s()
        )


def _tool_calls(blocks: list[_Block], request: Request) -> tuple[ToolCall, ...]:
    uses = [block.tool_use for block in blocks if block.tool_use is not None]
    if not uses:
        return ()
    try:
        return tuple(
            ToolCall(
                id=use.tool_use_id or f"call_{request.id}_{index}",
                name=use.name,
                arguments_json=bytes(use.input).decode(),
            )
            for index, use in enumerate(uses)
        )
    except UnicodeDecodeError:
        raise broken_answer(PROVIDER, "the arguments of a tool call are not UTF-8", 200) from None
