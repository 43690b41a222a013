"""The lines that were logged when audit records were written, to hold the records to.

Whoever may put into the table can put a record over another one and make its hash fit; the line in the log of
whoever wrote the first one stays. The command line's own records have none: its log is the operator's screen.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from gateway.control.audit import AuditRecord, How
from operations.environment import Account

WRITERS = ("model-registry", "feature-flags", "gateway")
"""Stacks with the log groups of those who write records."""

PATTERN = '{ $.event = "audit" }'

Place = tuple[str, int]
Lines = Mapping[Place, frozenset[str]]
"""The hashes that were logged, by subject and sequence."""


@dataclass(frozen=True)
class Compared:
    """What contradicts the log, and the records that no line tells of."""

    problems: tuple[str, ...]
    without_line: tuple[AuditRecord, ...]


def logged_lines(account: Account) -> Lines:
    """Every line about an audit record that is still kept. Reads the whole logs, which takes its time."""
    found: dict[Place, set[str]] = {}
    for group in _log_groups(account):
        pages = account.logs.get_paginator("filter_log_events").paginate(
            logGroupName=group, filterPattern=PATTERN
        )
        for page in pages:
            for place, logged in _hashes(event["message"] for event in page["events"]):
                found.setdefault(place, set()).add(logged)
    return {place: frozenset(hashes) for place, hashes in found.items()}


def compare(records: Iterable[AuditRecord], lines: Lines) -> Compared:
    """Hold the records to the lines of the same subjects."""
    kept = {(record.subject, record.sequence): record for record in records}
    problems = [
        f"record {sequence} of {subject} is gone: it was logged when it was written"
        for subject, sequence in sorted(lines.keys() - kept.keys())
    ]
    for place, record in kept.items():
        if others := lines.get(place, frozenset()) - {record.hash}:
            problems.append(
                f"record {record.sequence} of {record.subject} was replaced: another one was logged when it "
                f"was written, with the hash {', '.join(sorted(others))}"
            )
    without = (
        record for place, record in kept.items() if place not in lines and record.how != How.COMMAND.value
    )
    return Compared(tuple(problems), tuple(without))


def _log_groups(account: Account) -> Iterator[str]:
    stacks = tuple(f"{account.settings.stack_prefix}-{stack}" for stack in WRITERS)
    for page in account.logs.get_paginator("describe_log_groups").paginate():
        for group in page["logGroups"]:
            if any(stack in group["logGroupName"] for stack in stacks):
                yield group["logGroupName"]


def _hashes(messages: Iterable[str]) -> Iterator[tuple[Place, str]]:
    for message in messages:
        try:
            line = json.loads(message)
        except ValueError:
            continue
        if isinstance(line, dict) and line.get("event") == "audit":
            yield (str(line.get("subject")), int(line.get("sequence", 0))), str(line.get("hash"))
