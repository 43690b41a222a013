"""The audit records: who changed what and why, and whether each chain of hashes holds."""

from __future__ import annotations

import logging
import sys

from gateway.control.audit import AuditRecord
from operations.audit_lines import compare, logged_lines
from operations.environment import Account
from operations.errors import DONE, REFUSED
from operations.stores import REGISTRY, audit_table
from operations.table_output import table

HEADINGS = ("subject", "no.", "at", "action", "from", "to", "who", "how", "why")


def show(account: Account, subject: str | None, *, logs: bool = False) -> int:
    """The records of one subject or of all, oldest first; 1 where a chain does not hold.

    With `logs` each record is held to the line that was logged with it, and 1 where one contradicts.
    """
    subjects = (subject,) if subject else _subjects(account)
    store = audit_table(account)
    chains = {each: store.chain(each) for each in subjects}
    records = [record for chain in chains.values() for record in chain.records]
    print(table(HEADINGS, [_row(record) for record in records]))
    problems = [problem for chain in chains.values() for problem in chain.problems]
    if logs:
        lines = logged_lines(account)
        compared = compare(records, {key: lines[key] for key in lines if subject in (None, key[0])})
        problems += compared.problems
        for record in compared.without_line:
            print(f"no line in the logs tells of record {record.sequence} of {record.subject}, {record.at}")
    for problem in problems:
        print(f"wrong: {problem}")
    if not problems:
        held = "every chain holds, and no line in the logs contradicts" if logs else "every chain holds"
        print(f"{len(records)} records of {len(chains)} subjects: {held}")
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
