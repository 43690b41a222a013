"""What must hold for audit records at every write: none is overwritten, and every chain goes on."""

from __future__ import annotations

from gateway.control.audit import AuditTable
from tests.control_plane.cloud import AUDIT_TABLE, Cloud
from tests.control_plane.memory_dynamodb import Stored


class AuditWatch:
    """Looks at each record when it is written, and at whole chains when all is settled."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._texts: dict[tuple[str, str], Stored] = {}
        cloud.dynamodb.watches.append(cloud.seen(self._written))

    def check(self) -> None:
        """Every record is what it was when it was written."""
        stored = self._cloud.dynamodb.tables[AUDIT_TABLE]
        assert stored.keys() == {*self._texts}, "a record is gone"

    def check_settled(self) -> None:
        subjects = {subject for subject, _sequence in self._texts}
        audit = AuditTable(self._cloud.tables_for("auditor"), AUDIT_TABLE)
        for subject in subjects:
            problems = audit.chain(subject).problems
            assert not problems, f"the records of {subject}: {problems}"

    def _written(self, table: str, before: Stored | None, after: Stored, caller: str) -> None:
        if table != AUDIT_TABLE:
            return
        key = (after["subject"]["S"], after["sequence"]["N"])
        assert before is None, f"{caller} wrote over record {key}"
        sequence = int(key[1])
        assert sequence == 1 or (key[0], str(sequence - 1)) in self._texts, f"{key} follows nothing"
        self._texts[key] = after
