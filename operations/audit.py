"""The audit records: who changed what and why, and whether each chain of hashes holds."""

from __future__ import annotations

import logging
import sys

from gateway.control.audit import AuditRecord
from operations.environment import Account
from operations.errors import DONE, REFUSED
from operations.stores import REGISTRY, audit_table
from operations.table_output import table

HEADINGS = ("subject", "no.", "at", "action", "from", "to", "who", "how", "why")


def show(account: Account, subject: str | None) -> int:
    """The records of one subject or of all, oldest first; 1 where a chain does not hold."""
    subjects = (subject,) if subject else _subjects(account)
    store = audit_table(account)
    chains = {each: store.chain(each) for each in subjects}
    print(table(HEADINGS, [_row(record) for chain in chains.values() for record in chain.records]))
    problems = [problem for chain in chains.values() for problem in chain.problems]
    for problem in problems:
        print(f"wrong: {problem}")
    if not problems:
        records = sum(len(chain.records) for chain in chains.values())
        print(f"{records} records of {len(chains)} subjects: every chain holds")
    return REFUSED if problems else DONE


def _subjects(account: Account) -> tuple[str, ...]:
    pages = account.dynamodb.get_paginator("scan").paginate(
        TableName=account.output(REGISTRY, "AuditTableName"),
        ProjectionExpression="subject",
        ConsistentRead=True,
    )
    return tuple(sorted({item["subject"]["S"] for page in pages for item in page["Items"]}))


def _row(record: AuditRecord) -> tuple[object, ...]:
    return (
        record.subject,
        record.sequence,
        record.at,
        record.action,
        record.before,
        record.after,
        record.who,
        record.how,
        record.why,
    )


class RecordLines(logging.Handler):
    """Tells the operator of each record that a command has written, and of each warning."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line to standard error."""
        if getattr(record, "event", None) == "audit":
            fields = vars(record)
            sys.stderr.write(
                f"recorded: {fields['subject']} no. {fields['sequence']}, hash {fields['hash']}\n"
            )
        elif record.levelno >= logging.WARNING:
            sys.stderr.write(f"{record.getMessage()}\n")
