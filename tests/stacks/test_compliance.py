"""The compliance report: what is accepted with its reason, and what is open or stale by name."""

from __future__ import annotations

import pytest

from stacks.acknowledgements import Acknowledgement
from tests import compliance
from tests.stacks.review import Finding, Review

ACCEPTED = Finding(
    "NIST.800.53.R5", "NIST.800.53.R5-LambdaDLQ", "Stack/Guard/Resource", "no dead-letter queue"
)
OPEN = Finding("PCI.DSS.321", "PCI.DSS.321-ALBWAFEnabled", "Stack/Balancer/Resource", "no web ACL")
ACKNOWLEDGED = Acknowledgement(
    path="Stack/Guard", finding="NIST.800.53.R5-LambdaDLQ", reason="Its caller waits for the answer."
)
STALE = Acknowledgement(path="Stack/Gone", finding="House::own-key", reason="There was something here once.")


def report(review: Review) -> str:
    return "\n".join(compliance.lines("testing", review))


def test_what_is_accepted_stands_with_its_reason_its_rule_and_its_place() -> None:
    text = report(Review((ACCEPTED,), (ACKNOWLEDGED,)))
    assert "Its caller waits for the answer.\n    LambdaDLQ (NIST.800.53.R5): Stack/Guard/Resource" in text
    assert text.splitlines()[2].split() == ["NIST.800.53.R5", "1", "1", "0"]
    assert "OPEN" not in text
    assert "STALE" not in text


def test_what_is_open_or_stale_is_named() -> None:
    text = report(Review((ACCEPTED, OPEN), (ACKNOWLEDGED, STALE)))
    assert "OPEN   PCI.DSS.321-ALBWAFEnabled at Stack/Balancer/Resource: no web ACL" in text
    assert "STALE  House::own-key is acknowledged at Stack/Gone" in text


def test_an_acknowledgement_reaches_below_its_construct_and_not_beside_it() -> None:
    beside = Finding("House", "own-key", "Stack/GuardRail/Resource", "")
    acknowledgement = Acknowledgement(path="Stack/Guard", finding="House::own-key", reason="")
    assert not beside.is_accepted_by(acknowledgement)
    assert Finding("House", "own-key", "Stack/Guard/Log/Resource", "").is_accepted_by(acknowledgement)


@pytest.mark.parametrize(
    ("review", "status"),
    [
        (Review((ACCEPTED,), (ACKNOWLEDGED,)), 0),
        (Review((OPEN,), ()), 1),
        (Review((ACCEPTED,), (ACKNOWLEDGED, STALE)), 1),
    ],
    ids=["all acknowledged", "one open", "one stale"],
)
def test_the_command_fails_on_what_is_open_or_stale(
    monkeypatch: pytest.MonkeyPatch, review: Review, status: int
) -> None:
    monkeypatch.setattr(compliance, "review", lambda *_: review)
    assert compliance.main(["local"]) == status
