"""Evidence for the next step of a rollout: how many sampled requests were answered in the shadow stage.

Counted in memory while requests are answered, and added to the flag table in the background. A replica that
is lost takes the counts of a few seconds with it.
"""

from __future__ import annotations

import logging
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
)

from gateway.control.flag_declarations import ROLLOUT_STAGE, SHADOW_SHARE, RolloutStage
from gateway.control.flag_rules import evidence_key
from gateway.control.flag_tiers import FLAG_ATTRIBUTE
from gateway.control.flags import Flags

if TYPE_CHECKING:
    from types_boto3_dynamodb.client import DynamoDBClient

FLUSH_INTERVAL_S = 5.0
LAST_FLUSH_S = 3.0
KEPT_FOR_S = 90 * 86_400
"""Evidence is of use until the step it is for is made."""

_UPDATE = "ADD decisions :counted SET expires_at = :expires_at"
_NOT_SENT = (EndpointConnectionError, ConnectTimeoutError, NoCredentialsError)
_SERVER_FAILURE = 500

logger = logging.getLogger(__name__)


def in_share(request_id: str, percent: float) -> bool:
    """Whether a request belongs to the sampled `percent` of all; the same for a request id every time."""
    return zlib.crc32(request_id.encode()) < percent / 100 * 2**32


class ShadowEvidence:
    """Counts of this replica by the moment at which the stage was put to shadow. Safe for several threads."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._lock = threading.Lock()

    def answered(self, request_id: str, flags: Flags) -> None:
        """Note that a request was answered. Costs a look-up outside of the shadow stage."""
        if flags.rollout_stage is not RolloutStage.SHADOW:
            return
        changed_at_ms = flags.answers[ROLLOUT_STAGE].changed_at_ms
        if changed_at_ms is not None and in_share(request_id, float(flags.get(SHADOW_SHARE))):
            with self._lock:
                self._counts[changed_at_ms] += 1

    def take(self) -> Counter[int]:
        """All counts, which are zero afterwards."""
        with self._lock:
            taken, self._counts = self._counts, Counter()
        return taken

    def give_back(self, counts: Counter[int]) -> None:
        """Count again what could not be written."""
        with self._lock:
            self._counts.update(counts)


class EvidenceWriter:
    """Adds the counts to the flag table every few seconds, in a thread of its own."""

    def __init__(
        self,
        evidence: ShadowEvidence,
        client: DynamoDBClient,
        table: str,
        *,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._evidence = evidence
        self._client = client
        self._table = table
        self._wall_clock = wall_clock
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="flag-evidence", daemon=True)

    def start(self) -> None:
        """Begin to write; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End the writing with a last one, and wait for it a moment. Blocks."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(LAST_FLUSH_S)

    def flush(self) -> None:
        """Write once, in the calling thread; never raises.

        What certainly was not written is kept. What may have been is not: there may be less evidence than
        was seen, never more.
        """
        kept: Counter[int] = Counter()
        for changed_at_ms, decisions in self._evidence.take().items():
            try:
                self._add(changed_at_ms, decisions)
            except (BotoCoreError, ClientError) as error:
                written_perhaps = _perhaps_written(error)
                if not written_perhaps:
                    kept[changed_at_ms] = decisions
                logger.warning(
                    "evidence not written",
                    extra={"problem": str(error), "decisions": decisions, "kept": not written_perhaps},
                )
        self._evidence.give_back(kept)

    def _add(self, changed_at_ms: int, decisions: int) -> None:
        self._client.update_item(
            TableName=self._table,
            Key={FLAG_ATTRIBUTE: {"S": evidence_key(ROLLOUT_STAGE, changed_at_ms)}},
            UpdateExpression=_UPDATE,
            ExpressionAttributeValues={
                ":counted": {"N": str(decisions)},
                ":expires_at": {"N": str(round(self._wall_clock()) + KEPT_FOR_S)},
            },
        )

    def _run(self) -> None:
        while not self._stopping.wait(FLUSH_INTERVAL_S):
            self.flush()
        self.flush()


def _perhaps_written(error: BotoCoreError | ClientError) -> bool:
    if isinstance(error, ClientError):
        return error.response["ResponseMetadata"]["HTTPStatusCode"] >= _SERVER_FAILURE
    return not isinstance(error, _NOT_SENT)
