"""What every custom resource of this project owes CloudFormation: exactly one answer, whatever happens.

    RESOURCE = CustomResource(name="registry-guard", done="…", failed="…")

    def handler(event, context):
        RESOURCE.answer(event, RESOURCE.failure(lambda: deploy(event)))

An event that is never answered blocks its stack for as long as CloudFormation is told to wait.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

Event: TypeAlias = Mapping[str, object]
Send: TypeAlias = Callable[[str, bytes], None]

SEND_ATTEMPTS = 3
SEND_TIMEOUT_S = 10
# CloudFormation refuses a response body over 4,096 bytes. JSON may double a character; the rest needs room.
MAXIMUM_REASON_CHARACTERS = 1_500


class RefusedError(Exception):
    """A declaration that must not be deployed; the message is what the operator reads."""


def log(event: str, **fields: object) -> None:
    """Print one line of JSON."""
    print(json.dumps({"event": event, **fields}))


def send(url: str, body: bytes) -> None:
    """Put `body` to CloudFormation's presigned URL.

    Raises:
        OSError: if no attempt was answered; Lambda then runs the event again.
    """
    # The presigned URL is signed for an empty content type.
    request = urllib.request.Request(url, data=body, method="PUT", headers={"content-type": ""})  # noqa: S310
    for attempt in range(1, SEND_ATTEMPTS + 1):
        try:
            with urllib.request.urlopen(request, timeout=SEND_TIMEOUT_S):  # noqa: S310
                return
        except OSError as error:
            log("response failed", attempt=attempt, error=str(error))
            if attempt == SEND_ATTEMPTS:
                raise


@dataclass(frozen=True, kw_only=True)
class CustomResource:
    """One kind of custom resource.

    `name` begins its physical ids, `done` is what a success says, `failed` begins what an unforeseen
    failure says.
    """

    name: str
    done: str
    failed: str

    def failure(self, work: Callable[[], None]) -> str | None:
        """Do the work; why it failed, or None. Every failure becomes a reason."""
        try:
            work()
        except RefusedError as error:
            return str(error)
        except Exception as error:
            return f"{self.failed}: {type(error).__name__}: {error}"
        return None

    def response_body(self, event: Event, reason: str | None) -> bytes:
        """What CloudFormation is told: success where `reason` is None.

        The physical id never changes once given, so that no update is taken for a replacement.
        """
        logical_id = event.get("LogicalResourceId", "")
        ascii_reason = (reason or self.done).encode("ascii", "replace").decode()
        body = {
            "Status": "SUCCESS" if reason is None else "FAILED",
            "Reason": ascii_reason[:MAXIMUM_REASON_CHARACTERS],
            "PhysicalResourceId": event.get("PhysicalResourceId") or f"{self.name}-{logical_id}",
            "StackId": event.get("StackId", ""),
            "RequestId": event.get("RequestId", ""),
            "LogicalResourceId": logical_id,
        }
        return json.dumps(body).encode()

    def answer(self, event: Event, reason: str | None, send: Send = send) -> None:
        """Log how the event ended and tell CloudFormation."""
        log(self.name, request=event.get("RequestType"), failure=reason)
        send(str(event["ResponseURL"]), self.response_body(event, reason))
