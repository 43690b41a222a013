"""Gemini's generateContent on Vertex AI.

https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference; the shapes are those
of `google.genai.types`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import quote

import msgspec

from gateway.model import Completion, Request, ToolCall
from gateway.providers.adapter import FailureKind, HttpRequest, HttpResponse, ProviderError
from gateway.providers.conversation import unencodable
from gateway.providers.google_answer import (
    PROVIDER,
    Part,
    answer_decoder,
    arguments_of,
    candidate_of,
    finish_reason,
    refusal_of,
    usage_of,
)
from gateway.providers.google_request import generate_content_input
from gateway.providers.google_stream import GoogleStream
from gateway.providers.http_answer import decode_answer
from gateway.providers.token_estimate import estimated_usage

_encoder = msgspec.json.Encoder()


class GoogleAdapter:
    """generateContent on Vertex AI.

    `base_url` is the regional or multi-regional host without a path, `token` gives the current OAuth
    access token, or None where there is none.
    """

    def __init__(
        self,
        base_url: str,
        project: str,
        location: str,
        token: Callable[[], str | None],
        *,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        project, location = quote(project, safe=""), quote(location, safe="")
        self._models_url = (
            f"{base_url.rstrip('/')}/v1/projects/{project}/locations/{location}/publishers/google/models"
        )
        self._token = token
        self._now_s = now_s

    def prepare(self, request: Request, invocation_id: str) -> HttpRequest:
        """See `Adapter.prepare`."""
        return self._prepared(request, invocation_id, "generateContent")

    def prepare_stream(self, request: Request, invocation_id: str) -> HttpRequest:
        """See `Adapter.prepare_stream`."""
        return self._prepared(request, invocation_id, "streamGenerateContent?alt=sse")

    def stream_decoder(self, request: Request) -> GoogleStream:
        """See `Adapter.stream_decoder`."""
        return GoogleStream(request, self._now_s)

    def parse(self, response: HttpResponse, request: Request) -> Completion:
        """See `Adapter.parse`."""
        if response.status != 200:
            raise refusal_of(response, self._now_s())
        answer = decode_answer(response, answer_decoder, PROVIDER)
        candidate = candidate_of(answer, response)
        parts = (candidate.content.parts if candidate.content is not None else None) or []
        text = "".join([part.text for part in parts if part.text is not None and not part.thought])
        tool_calls = _tool_calls(parts, request)
        return Completion(
            text=text,
            finish_reason=finish_reason(candidate.finish_reason, bool(tool_calls)),
            usage=usage_of(answer.usage_metadata) or estimated_usage(request, text, tool_calls),
            tool_calls=tool_calls,
        )

    def _prepared(self, request: Request, invocation_id: str, method: str) -> HttpRequest:
        try:
            body = _encoder.encode(generate_content_input(request, invocation_id))
        except (UnicodeEncodeError, RecursionError) as error:
            raise unencodable(error) from None
        token = self._token()
        if not token:
            raise ProviderError(FailureKind.AUTHENTICATION, "no access token is at hand for Google")
        return HttpRequest(
            "POST",
            f"{self._models_url}/{quote(invocation_id, safe='')}:{method}",
            {"content-type": "application/json", "authorization": f"Bearer {token}"},
            body,
        )


def _tool_calls(parts: list[Part], request: Request) -> tuple[ToolCall, ...]:
    calls = [part.function_call for part in parts if part.function_call is not None]
    return tuple(
        ToolCall(call.id or f"call_{request.id}_{index}", call.name, arguments_of(call))
        for index, call in enumerate(calls)
    )
