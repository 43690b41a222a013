"""The audit records of a subject, and whether their chain holds."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qsl

import msgspec

from gateway.control.audit import AuditRecord, AuditTable
from gateway.pipeline import Access
from gateway.surfaces.admin_change import ask_stores
from gateway.surfaces.invalid import invalid
from gateway.surfaces.messages import Endpoint, Incoming, Outgoing, Routes, json_answer

LONGEST_SUBJECT = 256
SUBJECT = "subject"


class Audit(msgspec.Struct, frozen=True):
    """Records newest first; `problems` says where the chain is broken, and is empty where it `holds`."""

    subject: str
    holds: bool
    problems: Sequence[str]
    records: Sequence[AuditRecord]


class AdminAuditSurface:
    """`GET /v1/admin/audit?subject=…`."""

    def __init__(self, table: AuditTable) -> None:
        self._table = table

    def routes(self) -> Routes:
        """The path of this surface."""
        return {"/v1/admin/audit": {"GET": Endpoint("admin_audit", self.audit, Access.ADMIN)}}

    async def audit(self, incoming: Incoming) -> Outgoing:
        """Tell who changed the subject."""
        subject = _subject(incoming.query)
        chain = await ask_stores(incoming, lambda: self._table.chain(subject))
        return json_answer(Audit(subject, not chain.problems, chain.problems, chain.records[::-1]))


def _subject(query: bytes) -> str:
    example = "?subject=route-set, flag#rollout-stage or model#<provider>#<model>#<version>, # written as %23"
    try:
        given = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=8)
    except ValueError:
        raise invalid(f"The query is no percent-encoded UTF-8; ask with {example}.", SUBJECT) from None
    names = [name for name, _value in given]
    if names != [SUBJECT]:
        raise invalid(f"Name one subject and nothing else; ask with {example}.", SUBJECT)
    subject = given[0][1]
    if not subject or len(subject) > LONGEST_SUBJECT:
        raise invalid(f"A subject has 1 to {LONGEST_SUBJECT} characters; ask with {example}.", SUBJECT)
    return subject
