"""Host names as settings write them: one exact host, or `.suffix` for every name below it."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

_HOST_NAME = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])")
"""Lower-case labels of RFC 1123, at least two, the last of which starts with a letter: no address."""

_LONGEST_HOST_NAME = 253


def is_host_name(text: str) -> bool:
    """Whether `text` is a full, lower-case DNS name without a trailing dot."""
    return len(text) <= _LONGEST_HOST_NAME and _HOST_NAME.fullmatch(text) is not None


def is_host_pattern(text: str) -> bool:
    """Whether `text` is a host name, or one with a leading dot."""
    return is_host_name(text.removeprefix("."))


def _host_pattern(text: str) -> str:
    if not is_host_pattern(text):
        raise PydanticCustomError(
            "host_pattern",
            "it must be a lower-case host name, or one with a leading dot for every name below it",
            {"remedy": "write it like models.example.com or .example.com, without scheme, port, path or *"},
        )
    return text


HostPattern = Annotated[str, AfterValidator(_host_pattern)]
