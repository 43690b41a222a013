"""Token counts for answers that report none.

The rule of four characters a token is OpenAI's for English; German and code run denser, hence
bytes of UTF-8 in place of characters. Such a count is always marked `estimated`.
"""

from __future__ import annotations

import msgspec

from gateway.model import Image, Request, Tool, ToolCall, Usage

_BYTES_PER_TOKEN = 4
_TOKENS_PER_MESSAGE = 4
_TOKENS_PER_IMAGE = 1_000
"""The order of magnitude all vendors give for one image of ordinary size."""


def estimated_usage(request: Request, text: str, tool_calls: tuple[ToolCall, ...]) -> Usage:
    """Usage of a call whose provider did not report it."""
    written = text_tokens(text) + sum(text_tokens(call.name + call.arguments_json) for call in tool_calls)
    return Usage(input_tokens=request_tokens(request), output_tokens=written, estimated=True)


def request_tokens(request: Request) -> int:
    """Tokens the request's messages and tools come to, about."""
    total = sum(text_tokens(tool.name + tool.description) + _schema_tokens(tool) for tool in request.tools)
    for message in request.messages:
        total += _TOKENS_PER_MESSAGE
        for part in message.content:
            total += _TOKENS_PER_IMAGE if isinstance(part, Image) else text_tokens(part.text)
        total += sum(text_tokens(call.name + call.arguments_json) for call in message.tool_calls)
    return total


def _schema_tokens(tool: Tool) -> int:
    """Of a schema that cannot be written as JSON nothing is counted: no provider will see it."""
    try:
        return bytes_tokens(len(msgspec.json.encode(tool.parameters)))
    except (RecursionError, UnicodeEncodeError):
        return 0


def text_tokens(text: str) -> int:
    """Tokens of a text, about; at least one where there is any."""
    return bytes_tokens(len(text.encode("utf-8", "replace")))


def bytes_tokens(size_bytes: int) -> int:
    """Tokens of a text of so many bytes, about."""
    return -(-size_bytes // _BYTES_PER_TOKEN)
