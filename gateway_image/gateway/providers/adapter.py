"""What every provider adapter offers: pure translation, no input or output of its own.

The pipeline sends what `prepare` returns and hands the answer to `parse`; deadlines, failover and
the egress guard are therefore written once, outside the adapters.
"""

from __future__ import annotations

import enum
from typing import Protocol

import msgspec

from gateway.model import Completion, Request, StreamEvent


class HttpRequest(msgspec.Struct, frozen=True):
    """A provider call ready to be sent."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


class HttpResponse(msgspec.Struct, frozen=True):
    """A provider's whole answer. Header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class FailureKind(enum.StrEnum):
    """What went wrong with a provider call, as far as the pipeline must tell them apart.

    `UNSUPPORTED`: a sound request that this provider or model cannot serve, such as an image format
    it does not read or a model id it does not know. Another candidate may; its health is not in doubt.
    """

    INVALID_REQUEST = "invalid_request"
    CONTEXT_LENGTH = "context_length"
    CONTENT_FILTER = "content_filter"
    AUTHENTICATION = "authentication"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    PROTOCOL = "protocol"
    UNSUPPORTED = "unsupported"

    @property
    def callers_fault(self) -> bool:
        """True where another provider would refuse the request as well: no failover."""
        return self in (
            FailureKind.INVALID_REQUEST,
            FailureKind.CONTEXT_LENGTH,
            FailureKind.CONTENT_FILTER,
        )


class ProviderError(Exception):
    """A provider call that brought no completion.

    `message` is for logs; of it only what the caller caused may reach the caller.
    `retry_after_s` is the provider's own wish, in seconds, where it named one.
    """

    def __init__(
        self,
        kind: FailureKind,
        message: str,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.status = status
        self.retry_after_s = retry_after_s


class StreamDecoder(Protocol):
    """Turns the bytes of one streamed answer into events; at most one event is held back."""

    @property
    def skipped(self) -> int:
        """Malformed events passed over so far."""
        ...

    def feed(self, data: bytes) -> list[StreamEvent]:
        """The events that `data`, split anywhere, completes.

        Raises:
            ProviderError: the provider tells of a failure, or its answer cannot be read on.
        """
        ...

    def end(self) -> list[StreamEvent]:
        """What the provider's closing of the answer completes; `Finished` has come by then.

        Raises:
            ProviderError: the answer is not whole.
        """
        ...


class Adapter(Protocol):
    """One provider's wire format."""

    def prepare(self, request: Request, invocation_id: str) -> HttpRequest:
        """Encode `request` for the model the provider calls `invocation_id`.

        Raises:
            ProviderError: `INVALID_REQUEST` where no provider could carry the request,
                `UNSUPPORTED` where only this format or model cannot, `AUTHENTICATION` where no
                credential is at hand.
        """
        ...

    def parse(self, response: HttpResponse, request: Request) -> Completion:
        """Decode the provider's answer to `request`.

        The request is what missing usage is estimated from, and what gives tool calls a stable id
        where the provider gives none.

        Raises:
            ProviderError: for every answer that is no completion.
        """
        ...

    def prepare_stream(self, request: Request, invocation_id: str) -> HttpRequest:
        """Encode `request` as `prepare` does, for an answer that is sent while it is made.

        Raises:
            ProviderError: as `prepare`.
        """
        ...

    def stream_decoder(self, request: Request) -> StreamDecoder:
        """For one answer to `request` of status 200; answers of other statuses are for `parse`."""
        ...
