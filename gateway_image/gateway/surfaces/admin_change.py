"""What all administrative calls share: who asks, and how what the stores say becomes an answer."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, TypeVar

import msgspec
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from msgspec import Meta

from gateway.control.audit import LONGEST_WHY, Author, How
from gateway.control.flag_declaration import FlagValueError
from gateway.control.refusals import (
    ConflictError,
    NoStoreTookItError,
    TransitionRefusedError,
    UnknownRouteSetError,
    UnknownVersionError,
    VersionConflictError,
)
from gateway.failures import Reason, RefusalError
from gateway.surfaces.chat_request import decode_body
from gateway.surfaces.invalid import invalid
from gateway.surfaces.messages import Incoming, bearer_key
from gateway.telemetry.record import RequestRecord

OPERATOR_HEADER = "x-operator"
LONGEST_OPERATOR = 100
KEY_DIGITS = 8
"""Of the SHA-256 of the admin key: enough to tell keys apart, and no help to find one."""

_ORDINARY = ThreadPoolExecutor(max_workers=8, thread_name_prefix="admin")
_URGENT = ThreadPoolExecutor(max_workers=4, thread_name_prefix="admin-urgent")
"""Not the loop's own threads: stores that hang must hold up neither a kill nor the look-up of names."""

_LOOK_FIRST = "Look whether the change was made before you ask again."

Why = Annotated[str, Meta(min_length=1, max_length=LONGEST_WHY)]
T = TypeVar("T")


def read_change(incoming: Incoming, decoder: msgspec.json.Decoder[T]) -> T:
    """The body of a change.

    Raises:
        RefusalError: `INVALID_REQUEST`, naming the field.
    """
    with _noted(incoming.record):
        return decode_body(incoming.body, decoder)


def author_of(incoming: Incoming, why: str) -> Author:
    """Who asks for a change, told by header and key, and why.

    Raises:
        RefusalError: `INVALID_REQUEST`, naming the header or `why`.
    """
    with _noted(incoming.record):
        key = bearer_key(incoming.headers) or ""
        name = _operator(incoming.headers.get(OPERATOR_HEADER, ""))
        for text, where in ((name, OPERATOR_HEADER), (why, "why")):
            if key and key in text:
                raise invalid(
                    f"{where} contains the admin key; records are kept for ever, leave it out.", where
                )
        if not why.strip():
            raise invalid("why is blank; say why the change is made.", "why")
        digits = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:KEY_DIGITS]
        return Author(f"{name} (admin key {digits})", How.ADMIN_API, why)


async def ask_stores(incoming: Incoming, work: Callable[[], T], *, urgent: bool = False) -> T:
    """The result of `work`, which blocks, from another thread; what is `urgent` waits for no other work.

    Raises:
        RefusalError: `work` was refused, or a store did not answer; the request's log line says why.
    """
    with _noted(incoming.record):
        threads = _URGENT if urgent else _ORDINARY
        return await asyncio.get_running_loop().run_in_executor(threads, work)


@contextlib.contextmanager
def _noted(record: RequestRecord) -> Iterator[None]:
    """Turn what speaks against a change into a refusal, and note it for the request's one log line."""
    try:
        yield
    except RefusalError as refusal:
        record.problem = refusal.message
        raise
    except Exception as error:
        told = _refusal_of(error)
        if told is None:
            raise
        internal = isinstance(error, BotoCoreError | ClientError | NoStoreTookItError)
        record.problem = str(error) if internal else told.message
        raise told from None


def _refusal_of(error: Exception) -> RefusalError | None:
    match error:
        case TransitionRefusedError():
            return RefusalError(Reason.TRANSITION_REFUSED, f"{error}.")
        case ConflictError():
            return RefusalError(Reason.CONFLICT, f"{error}.")
        case VersionConflictError():
            return RefusalError(Reason.VERSION_CONFLICT, f"{error}.", parameter="version")
        case UnknownVersionError():
            return RefusalError(Reason.MODEL_NOT_FOUND, f"{error}.", parameter="version")
        case UnknownRouteSetError():
            return RefusalError(Reason.ROUTE_SET_NOT_FOUND, f"{error}.", parameter="name")
        case FlagValueError():
            return RefusalError(Reason.INVALID_REQUEST, f"{error}.", parameter="value")
        case NoStoreTookItError():
            return RefusalError(Reason.STORE_UNAVAILABLE, f"No store took it for certain. {_LOOK_FIRST}")
        case BotoCoreError() | ClientError():
            return RefusalError(Reason.STORE_UNAVAILABLE, _store_trouble(error))
    return None


def _store_trouble(error: BotoCoreError | ClientError) -> str:
    if isinstance(error, HTTPClientError) or (isinstance(error, ClientError) and _may_have_changed(error)):
        return f"A store did not answer. {_LOOK_FIRST}"
    return "A store refused or cannot be reached; nothing was changed."


def _may_have_changed(error: ClientError) -> bool:
    """Whether the store refused only after it may have taken it: at another attempt, or while it is at it."""
    answer = error.response["ResponseMetadata"]
    is_under_way = error.response.get("Error", {}).get("Code") == "TransactionInProgressException"
    return answer["HTTPStatusCode"] >= 500 or answer.get("RetryAttempts", 0) > 0 or is_under_way


def _operator(text: str) -> str:
    """The name in the header; HTTP gives its bytes as Latin-1, most clients mean UTF-8."""
    with contextlib.suppress(UnicodeDecodeError):
        text = text.encode("latin-1").decode()
    name = text.strip()
    if not name:
        raise invalid(f"Header {OPERATOR_HEADER} is missing; say who makes the change.", OPERATOR_HEADER)
    if len(name) > LONGEST_OPERATOR or not name.isprintable():
        raise invalid(
            f"Header {OPERATOR_HEADER} takes at most {LONGEST_OPERATOR} printable characters.",
            OPERATOR_HEADER,
        )
    return name
